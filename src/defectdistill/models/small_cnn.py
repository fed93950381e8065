"""Plain convolutional networks for small images: teacher and student of the FitNets log (CIFAR-10).

[choice] The log gives the numbers of parameters, 1.35 and 0.306 million, and no widths. Three stages of two 3×3
convolutions with batch norm, widths w, 2w, 4w at strides 1, 2 and 4: with ten classes w = 69 has 1,334,884 parameters,
w = 33 has 306,976.
"""

import torch
from torch import nn


def stage(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3×3 convolutions, each with batch norm and ReLU: (N, in, H, W) → (N, out, H, W)."""
    layers: list[nn.Module] = []
    for before in (in_channels, out_channels):
        layers += [
            nn.Conv2d(before, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class SmallCNN(nn.Module):
    """`width` channels in the first stage, twice and four times as many in the next two; their mean decides."""

    def __init__(self, classes: int, width: int):
        super().__init__()
        self.stage1, self.stage2, self.stage3 = stage(3, width), stage(width, 2 * width), stage(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float, normalised → logits (N, K); H and W at least 4."""
        x = self.stage3(self.pool(self.stage2(self.pool(self.stage1(x)))))
        return self.head(x.mean(dim=(2, 3)))
