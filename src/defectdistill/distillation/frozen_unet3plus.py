"""The teacher as distilling needs it: batch norm folded, cut down to what is asked for, frozen for good."""

from collections.abc import Set
from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse

from defectdistill import model_forms, model_json
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.models.encoders import PLAIN_DEPTH, build_encoder, depth_for
from defectdistill.models.taps import Tap, select_taps
from defectdistill.models.unet3plus import FullScaleDecoder, UNet3Plus, enlarged


class FrozenUNet3Plus(Frozen):
    """A U-Net3+ that only looks.

    `config` holds the encoder's name, `width`, `in_channels`, `out_channels`, the `strides` that are tapped and
    `class_maps`: without them the network is cut after the deepest tap of its encoder.
    """

    form = model_forms.FrozenUNet3Plus

    def __init__(self, config: dict):
        super().__init__(config)
        name, strides = config["encoder"], config["strides"]
        encoder = build_encoder(name, config["in_channels"], config["width"], depth_of(config))
        by_stride = {tap.stride: tap for tap in encoder.taps}
        self.taps: dict[int, Tap] = select_taps(by_stride, strides, f"the teacher's encoder {name!r}")
        self.positions = {stride: list(by_stride).index(stride) for stride in strides}
        self.channels = config["out_channels"]
        answers = {"maps", "scores"} if self.channels > 1 else {"maps"}
        self.says = frozenset({"features", *(answers if config["class_maps"] else ())})
        self.decoder = None
        if config["class_maps"]:
            channels = [tap.channels for tap in encoder.taps]
            self.decoder = FullScaleDecoder(channels, config["width"], config["out_channels"])
        self.encoder = fold_batch_norm(encoder)
        self.settle()

    def only(self, asked: Set[str]) -> None:
        """Nobody will read anything else: leave the decoder out where it would be for nothing."""
        super().only(asked)
        if not self.asked & {"maps", "scores"}:
            self.decoder = None

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> Answer:
        """(N, in, H, W) float, normalised → features of the tapped levels; with class maps, these and the evidence."""
        levels = self.encoder(x)
        features = {stride: levels[position] for stride, position in self.positions.items()}
        if self.decoder is None:
            return Answer(features)
        return self.answer(features, enlarged(self.decoder(levels), x))

    @classmethod
    def check(cls, folder: Path, config: model_forms.FrozenUNet3PlusPart) -> None:
        """Compare the width; the library's encoders have their own."""
        if config.encoder == "plain" or config.class_maps:
            model_json.check_width(folder, config.width)


def depth_of(config: dict) -> int:
    """Return how many levels a frozen teacher's encoder has: all that the decoder reads, or down to the deepest tap."""
    return PLAIN_DEPTH if config["class_maps"] else depth_for(config["encoder"], max(config["strides"]))


def freeze_unet3plus(model: UNet3Plus, config: dict, strides: list[int], class_maps: bool = True) -> FrozenUNet3Plus:
    """Return the frozen form of a trained model.

    `config` is what built the model (keys encoder, width, in_channels, out_channels). Raises ValueError for a stride
    that its encoder does not have.
    """
    config = {key: config[key] for key in ("encoder", "width", "in_channels", "out_channels")}
    config |= {"strides": sorted(strides), "class_maps": class_maps}
    teacher = FrozenUNet3Plus(config)
    cut = build_encoder(config["encoder"], config["in_channels"], config["width"], depth_of(config))
    trained = model.encoder.state_dict()
    cut.load_state_dict({key: trained[key] for key in cut.state_dict()})
    teacher.encoder.load_state_dict(fold_batch_norm(cut).state_dict())
    if class_maps:
        teacher.decoder.load_state_dict(model.decoder.state_dict())
    return teacher


def fold_batch_norm(encoder: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode with each batch norm folded into the convolution before it.

    What the forward pass does not use is dropped. An encoder that torch.fx cannot trace comes back as it is.
    """
    encoder.eval()
    try:
        folded = fuse(encoder)
    except (fx.proxy.TraceError, NameError, TypeError, RuntimeError):  # a dpn applies a module that it does not hold
        return encoder
    folded.delete_all_unused_submodules()
    return folded
