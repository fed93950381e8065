"""SARSN, the self-adaptive residual shrinkage network: residual blocks whose features are soft-thresholded.

After Zhao et al. 2020, "Deep Residual Shrinkage Networks for Fault Diagnosis" (channel-wise thresholds), equations 5 to
8; here in torchvision's ResNet. [choice] The text that we follow is an abstract: depths are ResNet's, and so is the
order, convolution, batch norm, ReLU (Zhao et al.: batch norm and ReLU before each convolution).
"""

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}


def soft_threshold(x: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """sign(x) · max(|x| − threshold, 0), elementwise; `threshold` ≥ 0 broadcasts."""
    return x.sign() * (x.abs() - threshold).clamp_min(0)


class Shrinkage(nn.Module):
    """Sets to zero what lies below a threshold that the features choose themselves, one a channel and image.

    τ_c = α_c · mean_HW |x_c| with α = σ(FC(ReLU(BN(FC(mean_HW |x|))))), so that 0 < τ_c < mean |x_c|: never negative,
    and never all of a channel.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, channels),
            nn.Sigmoid(),
        )

    def thresholds(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C), not negative."""
        size = x.abs().mean(dim=(2, 3))
        return self.gate(size) * size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        return soft_threshold(x, self.thresholds(x)[:, :, None, None])


class ShrinkageBlock(BasicBlock):
    """A residual block that shrinks after its second convolution, before the shortcut is added."""

    def __init__(self, inplanes: int, planes: int, *arguments, **keywords):
        super().__init__(inplanes, planes, *arguments, **keywords)
        self.shrink = Shrinkage(planes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, planes, H/stride, W/stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.shrink(self.bn2(self.conv2(out))) + shortcut)


def sarsn(depth: int, classes: int) -> ResNet:
    """Return the network of `depth` 18 or 34 for `classes` classes: (N, 3, H, W) → logits (N, K)."""
    return ResNet(ShrinkageBlock, BLOCKS[depth], num_classes=classes)
