"""Convolutions of small maps as matrix products, for training on a processor.

In the last stages of a network a map has few positions and many channels: 4 × 4 of 512 where the image has 128 pixels a
side. There oneDNN takes three to six times as long for the gradient of a weight in bf16 as a matrix product does, and
up to twice as long for the rest; at 96 pixels half of a ResNet-18's step went into the four convolutions of its last
stage. The columns of all positions, which the product needs, are small just there. The values are those of `conv2d` in
another order of summation.
"""

import contextlib
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

POSITIONS = 0.25  # of a batch's output, at most, for each input of a weight; measured with bf16 and with fp32


class SmallMapConv2d(nn.Conv2d):
    """A convolution that is a matrix product while it trains on a processor and its maps are small."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, O, h, w)."""
        if self.training and x.device.type == "cpu" and self.is_small(x.shape):
            return convolve_small(x, self.weight, self.bias, self.stride, self.padding)
        return super().forward(x)

    def is_small(self, shape: torch.Size) -> bool:
        """Whether the output for a batch (N, C, H, W) has few positions for what a position of it is made of."""
        sides = zip(shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        places = [(side + 2 * padding - kernel) // stride + 1 for side, padding, kernel, stride in sides]
        return min(places) > 0 and shape[0] * math.prod(places) <= POSITIONS * self.weight[0].numel()


def convolve_small(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """Return conv2d(x, weight, bias, stride, padding): (N, C, H, W) → (N, O, h, w), `weight` (O, C, kh, kw)."""
    (down, across), (below, beside) = stride, padding
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, beside, beside, below, below))  # (N, H, W, C)
    height, width = (padded.shape[axis + 1] - weight.shape[axis + 2] for axis in (0, 1))  # of where a window may begin
    shifted = [
        padded[:, row : row + height + 1 : down, column : column + width + 1 : across]
        for row in range(weight.shape[2])
        for column in range(weight.shape[3])
    ]
    columns = torch.cat(shifted, dim=3)  # (N, h, w, kh·kw·C)
    return F.linear(columns, weight.permute(0, 2, 3, 1).flatten(1), bias).permute(0, 3, 1, 2)


@contextlib.contextmanager
def small_maps_as_products(network: nn.Module) -> Iterator[None]:
    """Let the plain convolutions within `network` be `SmallMapConv2d` while the block runs."""
    changed = [
        module
        for module in network.modules()
        if type(module) is nn.Conv2d
        and module.groups == 1
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    ]
    try:
        for module in changed:
            module.__class__ = SmallMapConv2d
        yield
    finally:
        for module in changed:
            module.__class__ = nn.Conv2d
