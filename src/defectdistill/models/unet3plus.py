"""U-Net3+ (Huang et al., ICASSP 2020, arXiv:2004.08790): every decoder node sees all five scales.

Deviations: no deep supervision and no classification-guided module (the cable paper uses neither); no sigmoid inside
(the losses take logits); any encoder in place of the plain one; sizes that are no multiple of 16 are allowed.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.checkpoint import load_all_but_head, read_weights
from defectdistill.models.encoders import build_encoder, conv_bn_relu
from defectdistill.models.enlarged_convolution import convolve_enlarged, convolve_to_few
from defectdistill.models.taps import Tap


class FullScaleNode(nn.Module):
    """One decoder node: every scale is brought to this node's size, convolved to `width` channels, and fused."""

    def __init__(self, channels: list[int], width: int):
        super().__init__()
        self.branches = nn.ModuleList(conv_bn_relu(incoming, width) for incoming in channels)
        self.fuse = conv_bn_relu(width * len(channels), width * len(channels))

    def forward(self, scales: list[torch.Tensor], size: torch.Size) -> torch.Tensor:
        """[(N, Cₛ, Hₛ, Wₛ)] → (N, width·scales, *size); larger maps are max-pooled, smaller ones enlarged."""
        branches = [
            norm(convolve_at(scale, convolution, size))
            for (convolution, norm, _), scale in zip(self.branches, scales, strict=True)
        ]
        # A concatenation hands back slices, on which batch norm and ReLU are several times slower than on a copy.
        for branch in branches:
            if branch.requires_grad:
                branch.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return self.fuse(F.relu_(torch.cat(branches, dim=1)))


def convolve_at(scale: torch.Tensor, convolution: nn.Conv2d, size: torch.Size) -> torch.Tensor:
    """Bring a map to `size`, by max-pooling or bilinearly, and convolve it there: (N, C, h, w) → (N, width, *size)."""
    (height, width), (to_height, to_width) = scale.shape[2:], size
    if (height, width) == (to_height, to_width):
        return convolution(scale)
    if height <= to_height and width <= to_width:
        return convolve_enlarged(scale, convolution.weight, convolution.bias, size)
    if height % to_height == 0 and width % to_width == 0:
        return convolution(F.max_pool2d(scale, (height // to_height, width // to_width)))
    return convolution(F.adaptive_max_pool2d(scale, size))  # odd sizes only: the same pooling, slower


class FullScaleDecoder(nn.Module):
    """The decoder: `channels` of the encoder's levels, shallow first, `width` from each scale into each node."""

    def __init__(self, channels: list[int], width: int, out_channels: int):
        super().__init__()
        fused = width * len(channels)
        # Node l takes the encoder's levels up to l, the decoder's nodes below, and the deepest level as it is.
        self.nodes = nn.ModuleList(
            FullScaleNode(channels[: level + 1] + [fused] * (len(channels) - 2 - level) + channels[-1:], width)
            for level in range(len(channels) - 1)
        )
        self.head = nn.Conv2d(fused, out_channels, kernel_size=3, padding=1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """The encoder's levels → logits (N, out, H₁, W₁) at the size of the shallowest level."""
        decoded = [levels[-1]]  # from the deepest scale upwards
        for level in reversed(range(len(self.nodes))):
            scales = levels[: level + 1] + decoded[::-1]
            decoded.append(self.nodes[level](scales, levels[level].shape[2:]))
        return convolve_to_few(decoded[-1], self.head.weight, self.head.bias)


class UNet3Plus(nn.Module):
    """U-Net3+ with `width` channels from each scale into each decoder node (the plain encoder starts there too).

    26,971,777 parameters for width 64, three input channels, one output channel and the plain encoder.
    `encoder` is 'plain' or a name of segmentation-models-pytorch; `pretrained` asks that library for its ImageNet
    weights.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        width: int = 64,
        encoder: str = "plain",
        pretrained: bool = False,
    ):
        super().__init__()
        self.encoder = build_encoder(encoder, in_channels, width, pretrained=pretrained)
        self.decoder = FullScaleDecoder([tap.channels for tap in self.encoder.taps], width, out_channels)

    @property
    def taps(self) -> list[Tap]:
        """The encoder's levels, shallow first."""
        return self.encoder.taps

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, in, H, W) float → the encoder's levels, shallow first."""
        return self.encoder(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) float → logits (N, out, H, W); no sigmoid."""
        return enlarged(self.decoder(self.encode(x)), x)


def enlarged(logits: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Logits (N, C, h, w) → (N, C, H, W), bilinearly, the size of the images (N, 3, H, W)."""
    if logits.shape[2:] == images.shape[2:]:
        return logits
    return F.interpolate(logits, size=images.shape[2:], mode="bilinear")


def build_unet3plus(encoder: str, width: int, out_channels: int, weights: str = "none") -> UNet3Plus:
    """Return a U-Net3+ for RGB images with `weights` 'none', 'imagenet' (its encoder's) or a safetensors file.

    Of a file or checkpoint folder everything must fit but the head. Raises ValueError or FileNotFoundError.
    """
    network = UNet3Plus(3, out_channels, width, encoder, pretrained=weights == "imagenet")
    if weights not in ("none", "imagenet"):
        load_all_but_head(network, read_weights(Path(weights)), weights)
    return network


def unet3plus_config(
    encoder: str, width: int, channels: list[str], size: int, resize_mode: str, normal: Sequence[str] = ()
) -> dict:
    """Return the model.json of a teacher: what builds it, what each output channel marks, which of them stand for a
    class without defects, and its preprocessing.
    """
    return {
        "unet3plus": {"encoder": encoder, "width": width, "in_channels": 3, "out_channels": len(channels)},
        "channels": channels,
        "normal": [*normal],
        "preprocessing": {"size": size, "resize": resize_mode, "normalise": "imagenet"},
    }
