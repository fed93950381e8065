"""Encoders of the segmentation teacher: the plain one of U-Net3+ and any of segmentation-models-pytorch."""

import re

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.models.taps import Tap

PLAIN_DEPTH = 5
LIBRARY_DEPTH = 5  # of segmentation-models-pytorch: 3 to 5 levels
HEADS = "_conv_head", "_bn1"  # what the library's EfficientNets carry behind their last level, and never run


def conv_bn_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return a 3×3 convolution that keeps the size, batch norm and ReLU: (N, in, H, W) → (N, out, H, W)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class PlainEncoder(nn.Module):
    """The encoder of U-Net3+: `depth` blocks of two 3×3 convolutions, widths w·(1, 2, 4, 8, 16), strides 1 to 16.

    Pooling rounds sizes up (the reference implementation takes only multiples of 16, where both agree).
    """

    def __init__(self, in_channels: int, width: int, depth: int = PLAIN_DEPTH):
        super().__init__()
        self.widths = [width * 2**level for level in range(depth)]
        inputs = [in_channels, *self.widths[:-1]]
        self.blocks = nn.ModuleList(
            nn.Sequential(conv_bn_relu(before, after), conv_bn_relu(after, after))
            for before, after in zip(inputs, self.widths, strict=True)
        )

    @property
    def taps(self) -> list[Tap]:
        """The levels, shallow first."""
        return [Tap(f"blocks.{level}", width, 2**level) for level, width in enumerate(self.widths)]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, in, H, W) → one (N, w·2ˡ, ⌈H/2ˡ⌉, ⌈W/2ˡ⌉) map a level, shallow first."""
        levels = []
        for level, block in enumerate(self.blocks):
            x = block(x if level == 0 else F.max_pool2d(x, 2, ceil_mode=True))
            levels.append(x)
        return levels


class LibraryEncoder(nn.Module):
    """An encoder of segmentation-models-pytorch by name, cut to `depth` levels of strides 2, 4, 8, …"""

    def __init__(self, name: str, in_channels: int, depth: int, pretrained: bool = False):
        super().__init__()
        import segmentation_models_pytorch as smp  # its import takes seconds and the plain encoder does not need it

        known = smp.encoders.get_encoder_names()
        # Behind `tu-` timm takes a name, but also a place (`hf-hub:…`, `local-dir:…`): names alone, nothing is fetched.
        if name not in known and not re.fullmatch(r"tu-[\w.-]+", name):
            raise ValueError(f"teacher.encoder = {name!r}: expected 'plain' or one of {', '.join(sorted(known))}")
        weights = "imagenet" if pretrained else None
        try:
            self.network = smp.encoders.get_encoder(name, in_channels=in_channels, depth=depth, weights=weights)
        except Exception as error:  # to a name that they do not know or cannot build, the libraries say many things
            raise ValueError(f"teacher.encoder = {name!r} cannot be built: {error}") from error
        if name.startswith("efficientnet-"):  # several processes would wait for gradients that never come
            for head in HEADS:
                getattr(self.network, head).requires_grad_(False)
        # The first output is the input itself. A depth that the architecture skips (ConvNeXt has no stride 2)
        # comes back with no channels.
        strides = [2**level for level in range(1, depth + 1)]
        self.kept = [
            (index, stride, channels)
            for index, (stride, channels) in enumerate(zip(strides, self.network.out_channels[1:], strict=True), 1)
            if channels > 0
        ]

    @property
    def taps(self) -> list[Tap]:
        """The levels, shallow first."""
        return [Tap(f"network[{index}]", channels, stride) for index, stride, channels in self.kept]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(N, in, H, W) → one (N, C, H/stride, W/stride) map a level, shallow first."""
        features = self.network(x)
        return [features[index] for index, _, _ in self.kept]


def depth_for(name: str, stride: int) -> int:
    """Return how many levels an encoder needs to reach `stride` (a power of two), at most all that it has."""
    levels = stride.bit_length()  # strides 1, 2, 4, …
    return min(levels, PLAIN_DEPTH) if name == "plain" else min(max(levels - 1, 3), LIBRARY_DEPTH)


def build_encoder(
    name: str, in_channels: int, width: int, depth: int = PLAIN_DEPTH, pretrained: bool = False
) -> PlainEncoder | LibraryEncoder:
    """Return the encoder `name` ('plain' or a name of segmentation-models-pytorch) with `depth` levels.

    `width` is the plain encoder's first width; the library's encoders have their own. `pretrained` loads ImageNet
    weights, which the library downloads; the plain encoder has none. Raises ValueError for an unknown name.
    """
    if name != "plain":
        return LibraryEncoder(name, in_channels, depth, pretrained)
    if pretrained:
        raise ValueError(
            "teacher.weights = 'imagenet': the encoder 'plain' has no ImageNet weights; "
            "choose an encoder of segmentation-models-pytorch (for example resnet34), or weights none"
        )
    return PlainEncoder(in_channels, width, depth)
