"""Generator and discriminator of a CycleGAN (Zhu et al. 2017, appendix 7.2), of any width and number of blocks.

[choice] Fewer residual blocks and a smaller patch than there: the pictures have 64 pixels and the machine two cores.
"""

import torch
from torch import nn


def layer(convolution: nn.Module, channels: int) -> list[nn.Module]:
    """Return a convolution with instance norm and ReLU."""
    return [convolution, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut: (N, C, H, W) → the same."""

    def __init__(self, channels: int):
        super().__init__()
        first = layer(nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"), channels)
        second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.block = nn.Sequential(*first, second, nn.InstanceNorm2d(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → the same shape."""
        return x + self.block(x)


class Generator(nn.Module):
    """From one kind of picture to another: (N, 3, H, W) in −1…1 → the same; H and W divisible by 4.

    It adds to the picture [choice]: few pictures teach what a defect looks like, not what steel does.
    """

    def __init__(self, width: int, blocks: int):
        super().__init__()
        layers = layer(nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"), width)
        for before in (width, 2 * width):
            layers += layer(nn.Conv2d(before, 2 * before, 3, stride=2, padding=1), 2 * before)
        layers += [Residual(4 * width) for _ in range(blocks)]
        for before in (4 * width, 2 * width):
            layers += [nn.Upsample(scale_factor=2), *layer(nn.Conv2d(before, before // 2, 3, padding=1), before // 2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) in −1…1 → the same."""
        return (x + self.layers(x)).clamp(-1, 1)


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
