"""Any teacher, frozen: which kind it is stands in its model.json."""

from pathlib import Path

from defectdistill import checkpoint
from defectdistill.distillation.frozen_classifier import FrozenClassifier, freeze_classifier
from defectdistill.distillation.frozen_teacher import FrozenTeacher, freeze
from defectdistill.models.segmenter import load_teacher

Frozen = FrozenTeacher | FrozenClassifier


def freeze_any(folder: Path, strides: list[int], class_maps: bool) -> Frozen:
    """Return the frozen form of the trained teacher in `folder`; a classifier has no class maps to keep.

    Raises FileNotFoundError or ValueError naming what does not fit, or a stride that it does not have.
    """
    if "student" in checkpoint.read_config(folder):
        return freeze_classifier(folder, strides)
    network, config = load_teacher(folder)
    return freeze(network, config.unet3plus.model_dump(), strides, class_maps)


def load_any(folder: Path) -> Frozen:
    """Rebuild a frozen teacher; raises FileNotFoundError or ValueError naming what does not fit."""
    kind = FrozenClassifier if "frozen_classifier" in checkpoint.read_config(folder) else FrozenTeacher
    return kind.load(folder)
