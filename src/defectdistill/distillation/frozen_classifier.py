"""A classifier as a teacher: evaluation mode for good, features of its levels and its logits."""

from pathlib import Path

import torch

from defectdistill import checkpoint, model_forms, model_json
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.models.students import build_student, taps_of
from defectdistill.models.taps import Tap


class FrozenClassifier(Frozen):
    """A classifier that only looks.

    `config` holds what builds it: `arch`, the number of `classes`, and the `strides` that are tapped.
    """

    form = model_forms.FrozenClassifier
    says = frozenset({"features", "scores"})

    def __init__(self, config: dict):
        super().__init__(config)
        self.channels = config["classes"]
        self.network = build_student(config["arch"], config["classes"])
        self.taps: dict[int, Tap] = taps_of(self.network, config["strides"])
        self.settle()

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> Answer:
        """(N, 3, H, W) float, normalised → features of the tapped levels, and logits as evidence."""
        logits, features = self.network.forward_with_features(x, self.taps)
        return Answer(features, scores=logits.float())


def freeze_classifier(folder: Path, strides: list[int]) -> FrozenClassifier:
    """Return the frozen form of a classifier's checkpoint folder; raises ValueError for a stride that it lacks."""
    config = model_json.read_model_json(folder, model_forms.Classifier)
    frozen = model_json.build(
        folder,
        lambda: FrozenClassifier(
            {"arch": config.student.arch, "classes": len(config.classes), "strides": sorted(strides)}
        ),
    )
    checkpoint.load_into(frozen.network, folder)
    return frozen
