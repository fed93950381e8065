"""ResUNet with any encoder, global context and feature fusion: teacher and student of the steel paper ("cwd").

An encoder of segmentation-models-pytorch (ConvNeXt: levels of strides 4 to 32), residual decoder blocks, and two
options: a global-context block (Cao et al. 2019, GCNet) in every decoder step, and the fusion of all decoder levels.
With ConvNeXt-T 33.82, with both options 36.00, with ConvNeXt-B 100.96 million parameters (the paper: 33.91, 36.02 and
100.98).
[choice] The paper gives no widths: a decoder step has the encoder's channels of its level, the fusion 512. Global
context has no bottleneck, where GCNet has one (a sixteenth): both options add 2.18 million parameters to ConvNeXt-T,
with it they would add 1.8 (the paper: 2.11).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.checkpoint import load_all_but_head, read_weights
from defectdistill.models.encoders import LIBRARY_DEPTH, LibraryEncoder
from defectdistill.models.taps import Tap

FUSED = 512  # channels of the feature fusion


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch norm, and the input by a 1×1 convolution: (N, in, H, W) → (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H, W)."""
        return F.relu(self.layers(x) + self.shortcut(x))


class GlobalContext(nn.Module):
    """One context vector of the whole image, weighted by where to look, added everywhere: (N, C, H, W) → the same."""

    def __init__(self, channels: int):
        super().__init__()
        self.attention = nn.Conv2d(channels, 1, 1)
        self.transform = nn.Sequential(
            nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU(inplace=True), nn.Linear(channels, channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C, H, W)."""
        weights = self.attention(x).flatten(2).softmax(dim=2)  # (N, 1, H·W)
        context = (x.flatten(2) @ weights.transpose(1, 2)).squeeze(2)  # (N, C)
        return x + self.transform(context)[:, :, None, None]


class DecoderStep(nn.Module):
    """Enlarge, bring to the skip's channels, join with the skip, and mix: the next level of the decoder."""

    def __init__(self, channels: int, skip_channels: int, global_context: bool):
        super().__init__()
        self.reduce = nn.Conv2d(channels, skip_channels, 1)
        self.block = ResidualBlock(2 * skip_channels, skip_channels)
        self.context = GlobalContext(skip_channels) if global_context else nn.Identity()

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) and the skip (N, S, H, W) → (N, S, H, W)."""
        enlarged = F.interpolate(self.reduce(x), size=skip.shape[2:], mode="bilinear")
        return self.context(self.block(torch.cat([enlarged, skip], dim=1)))


class FeatureFusionHead(nn.Module):
    """All decoder levels at equal width and the size of the largest, joined: [(N, Cₗ, Hₗ, Wₗ)] → (N, width, H, W)."""

    def __init__(self, channels: list[int], width: int = FUSED):
        super().__init__()
        self.level = nn.ModuleList(nn.Conv2d(incoming, width, 1) for incoming in channels)
        self.join = nn.Conv2d(width * len(channels), width, 1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Decoder levels, the largest last → (N, width, H, W) at its size."""
        size = levels[-1].shape[2:]
        brought = [convolve(level) for convolve, level in zip(self.level, levels, strict=True)]
        return self.join(torch.cat([F.interpolate(level, size=size, mode="bilinear") for level in brought], dim=1))


class ResUNet(nn.Module):
    """Encoder `encoder` (a name of segmentation-models-pytorch), one output channel for each of `classes`.

    `pretrained` asks that library for its ImageNet weights. Raises ValueError for an unknown encoder.
    """

    def __init__(
        self,
        encoder: str,
        classes: int,
        global_context: bool,
        feature_fusion: bool,
        pretrained: bool = False,
    ):
        super().__init__()
        self.encoder = LibraryEncoder(encoder, 3, LIBRARY_DEPTH, pretrained)
        deepest, *skips = [tap.channels for tap in reversed(self.encoder.taps)]
        incoming = [deepest, *skips[:-1]]
        self.steps = nn.ModuleList(
            DecoderStep(before, skip, global_context) for before, skip in zip(incoming, skips, strict=True)
        )
        self.fusion = FeatureFusionHead([deepest, *skips]) if feature_fusion else None
        self.head = nn.Conv2d(FUSED if feature_fusion else skips[-1], classes, 1)

    @property
    def taps(self) -> list[Tap]:
        """The encoder's levels, shallow first."""
        return self.encoder.taps

    def encode(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, H, W) float → the encoder's levels, shallow first."""
        return self.encoder(x)

    def decode(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """The encoder's levels → logits (N, classes, H₁, W₁) at the size of the shallowest level."""
        decoded = [levels[-1]]
        for step, skip in zip(self.steps, reversed(levels[:-1]), strict=True):
            decoded.append(step(decoded[-1], skip))
        return self.head(decoded[-1] if self.fusion is None else self.fusion(decoded))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float, normalised → logits (N, classes, H, W)."""
        return self.forward_with_features(x, {})[0]

    def forward_with_features(
        self, x: torch.Tensor, taps: Mapping[int, Tap]
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """(N, 3, H, W) → logits (N, classes, H, W) and {stride: (N, C, H/stride, W/stride)} of the given taps."""
        levels = self.encode(x)
        features = {tap.stride: level for tap, level in zip(self.taps, levels, strict=True) if tap.stride in taps}
        return F.interpolate(self.decode(levels), size=x.shape[2:], mode="bilinear"), features


def build_resunet(
    encoder: str, classes: int, global_context: bool, feature_fusion: bool, weights: str = "none"
) -> ResUNet:
    """Return a ResUNet with `weights` 'none', 'imagenet' (its encoder's), or a safetensors file or checkpoint folder.

    Of a file or folder everything must fit but the head. Raises ValueError or FileNotFoundError.
    """
    network = ResUNet(encoder, classes, global_context, feature_fusion, pretrained=weights == "imagenet")
    if weights not in ("none", "imagenet"):
        load_all_but_head(network, read_weights(Path(weights)), weights)
    return network


def resunet_config(settings: Mapping[str, Any], channels: list[str], size: int, resize_mode: str) -> dict[str, Any]:
    """Return the model.json of a ResUNet: what builds it, what each output channel marks, and its preprocessing.

    Of `settings` encoder, global_context and feature_fusion are read.
    """
    built = {key: settings[key] for key in ("encoder", "global_context", "feature_fusion")}
    return {
        "resunet": built | {"classes": len(channels)},
        "channels": channels,
        "preprocessing": {"size": size, "resize": resize_mode, "normalise": "imagenet"},
    }
