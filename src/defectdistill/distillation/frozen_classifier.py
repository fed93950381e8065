"""A classifier as a teacher: evaluation mode for good, features of its levels and its logits."""

from collections.abc import Set
from pathlib import Path

import torch
from torch import nn

from defectdistill import checkpoint, model_forms, model_json
from defectdistill.distillation.answer import Answer
from defectdistill.models.students import build_student, taps_of
from defectdistill.models.taps import Tap


class FrozenClassifier(nn.Module):
    """A network that only looks, whatever `train()` says: no gradients, no buffers moved.

    `config` holds what builds it: `arch`, the number of `classes`, and the `strides` that are tapped.
    """

    says = frozenset({"features", "scores"})

    def __init__(self, config: dict):
        super().__init__()
        self.config = config
        self.channels = config["classes"]
        self.network = build_student(config["arch"], config["classes"])
        self.taps: dict[int, Tap] = taps_of(self.network, config["strides"])
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "FrozenClassifier":
        """Stay in evaluation mode."""
        return super().train(False)

    def only(self, asked: Set[str]) -> None:
        """Nobody will read anything else: the head costs next to nothing and stays."""

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> Answer:
        """(N, 3, H, W) float, normalised → features of the tapped levels, and logits as evidence."""
        logits, features = self.network.forward_with_features(x, self.taps)
        return Answer(features, scores=logits.float())

    def save(self, folder: Path) -> None:
        """Write weights and config as a checkpoint folder."""
        checkpoint.save(folder, self.state_dict(), {"frozen_classifier": self.config})

    @classmethod
    def load(cls, folder: Path) -> "FrozenClassifier":
        """Rebuild one from its folder; raises FileNotFoundError or ValueError naming what does not fit."""
        config = model_json.read_model_json(folder, model_forms.FrozenClassifier).frozen_classifier
        teacher = model_json.build(folder, lambda: cls(config.model_dump()))
        checkpoint.load_into(teacher, folder)
        return teacher


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
