"""Generator and discriminator of a CycleGAN (Zhu et al. 2017, appendix 7.2), of any width and number of blocks.

[choice] Fewer residual blocks and a smaller patch than there (38 pixels a side, not 70): the pictures have 64 pixels
and the machine two cores.
"""

import torch
from torch import nn


def convolution(before: int, channels: int, side: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that sees the picture mirrored at its edges: zeros there would show in what it makes."""
    return nn.Conv2d(before, channels, side, stride=stride, padding=side // 2, padding_mode="reflect")


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut: (N, C, H, W) → the same."""

    def __init__(self, channels: int):
        super().__init__()
        first, second = convolution(channels, channels, 3), convolution(channels, channels, 3)
        self.block = nn.Sequential(first, nn.ReLU(inplace=True), second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the same shape."""
        return x + self.block(x)


class Generator(nn.Module):
    """Changes a picture: (N, C, H, W) → `channels` values a pixel in −1…1, H and W divisible by 4.

    [choice] No instance norm, which makes much of the little that a plain surface shows; what comes out is a change
    that is added to the picture: few pictures teach what a defect looks like, not what steel does.
    """

    def __init__(self, before: int, channels: int, width: int, blocks: int):
        super().__init__()
        layers: list[nn.Module] = [convolution(before, width, 7), nn.ReLU(inplace=True)]
        for wide in (width, 2 * width):
            layers += [convolution(wide, 2 * wide, 3, stride=2), nn.ReLU(inplace=True)]
        layers += [Residual(4 * width) for _ in range(blocks)]
        for wide in (4 * width, 2 * width):
            layers += [nn.Upsample(scale_factor=2), convolution(wide, wide // 2, 3), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, convolution(width, channels, 7), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, channels, H, W) in −1…1."""
        return self.layers(x)


class Discriminator(nn.Module):
    """Says of each patch whether it is real: (N, 3, H, W) → (N, 1, H/8, W/8), near 1 for real ones."""

    def __init__(self, width: int):
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for before in (width, 2 * width):
            layers += [
                nn.Conv2d(before, 2 * before, 4, stride=2, padding=1),
                nn.InstanceNorm2d(2 * before),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) in −1…1 → (N, 1, H/8, W/8)."""
        return self.layers(x)
