"""U-Net3+ as one writes it down first: every map is brought to size, then convolved; the fast form's measure."""

import torch
import torch.nn.functional as F

from defectdistill.models.unet3plus import UNet3Plus


def resized(scale: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Max-pool or enlarge (N, C, h, w) to (N, C, *size)."""
    height = scale.shape[2]
    if height == size[0]:
        return scale
    if height < size[0]:
        return F.interpolate(scale, size=size, mode="bilinear")
    return F.max_pool2d(scale, height // size[0])


class PlainUNet3Plus(UNet3Plus):
    """The same weights, the same values, the plain order of operations; for sizes that 16 divides."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) float → logits (N, out, H, W)."""
        levels = self.encode(x)
        decoded = [levels[-1]]
        for level in reversed(range(len(self.decoder.nodes))):
            node, size = self.decoder.nodes[level], levels[level].shape[2:]
            scales = levels[: level + 1] + decoded[::-1]
            branches = [branch(resized(scale, size)) for branch, scale in zip(node.branches, scales, strict=True)]
            decoded.append(node.fuse(torch.cat(branches, dim=1)))
        return self.decoder.head(decoded[-1])
