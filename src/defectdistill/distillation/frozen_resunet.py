"""A ResUNet as a teacher: evaluation mode for good, cut down to what is asked for.

Its encoders have layer norm, which nothing can be folded into; the decoder's batch norm stays as it is.
"""

from collections.abc import Set
from typing import Any

import torch
from torch import nn

from defectdistill import model_forms
from defectdistill.distillation.answer import EVERYTHING, Answer
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.models.encoders import LibraryEncoder, depth_for
from defectdistill.models.resunet import ResUNet
from defectdistill.models.taps import Tap, select_taps


class FrozenResUNet(Frozen):
    """A ResUNet that only looks.

    `config` holds `encoder`, `classes`, `global_context`, `feature_fusion`, the `strides` that are tapped and
    `class_maps`: without them the encoder alone is kept, cut after the deepest of these levels.
    """

    form = model_forms.FrozenResUNet

    def __init__(self, config: dict[str, Any]):
        super().__init__(config)
        built = {key: config[key] for key in ("encoder", "classes", "global_context", "feature_fusion")}
        self.network = ResUNet(**built)
        if not config["class_maps"]:
            self.network.encoder = LibraryEncoder(
                built["encoder"], 3, depth_for(built["encoder"], max(config["strides"]))
            )
        taps = {tap.stride: tap for tap in self.network.taps}
        self.taps: dict[int, Tap] = select_taps(taps, config["strides"], f"the teacher's encoder {config['encoder']!r}")
        self.channels = config["classes"]
        answers = {"maps", "scores"} if self.channels > 1 else {"maps"}
        self.says = frozenset({"features", *(answers if config["class_maps"] else ())})
        self.only(EVERYTHING if config["class_maps"] else {"features"})
        self.settle()

    def only(self, asked: Set[str]) -> None:
        """Nobody will read anything else: leave the decoder out where it would be for nothing."""
        super().only(asked)
        if not self.asked & {"maps", "scores"}:
            self.network.steps, self.network.fusion, self.network.head = nn.ModuleList(), None, None

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> Answer:
        """(N, 3, H, W) float, normalised → features of the tapped levels; with class maps, these and the evidence."""
        if self.network.head is None:
            levels = zip(self.network.taps, self.network.encode(x), strict=True)
            return Answer({tap.stride: level for tap, level in levels if tap.stride in self.taps})
        logits, features = self.network.forward_with_features(x, self.taps)
        return self.answer(features, logits)


def freeze_resunet(model: ResUNet, config: dict[str, Any], strides: list[int], class_maps: bool) -> FrozenResUNet:
    """Return the frozen form of a trained model; `config` is what built it.

    Raises ValueError for a stride that its encoder does not have.
    """
    teacher = FrozenResUNet(config | {"strides": sorted(strides), "class_maps": class_maps})
    trained = model.state_dict()
    teacher.network.load_state_dict({key: trained[key] for key in teacher.network.state_dict()})
    return teacher
