"""Any teacher, frozen: which kind it is stands in its model.json."""

from pathlib import Path

from defectdistill import checkpoint
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.distillation.frozen_resunet import FrozenResUNet, freeze_resunet
from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus, freeze_unet3plus
from defectdistill.models.segmenter import load_segmentation


def freeze_any(folder: Path, strides: list[int], class_maps: bool) -> Frozen:
    """Return the frozen form of the trained teacher in `folder`; a classifier has no class maps to keep.

    Raises FileNotFoundError or ValueError naming what does not fit, or a stride that it does not have.
    """
    if "student" in checkpoint.read_config(folder):
        from defectdistill.distillation.frozen_classifier import freeze_classifier  # torchvision: 1.6 s

        return freeze_classifier(folder, strides)
    network, config = load_segmentation(folder)
    if config.key == "resunet":
        return freeze_resunet(network, config.resunet.model_dump(), strides, class_maps)
    return freeze_unet3plus(network, config.unet3plus.model_dump(), strides, class_maps)


def load_any(folder: Path) -> Frozen:
    """Rebuild a frozen teacher; raises FileNotFoundError or ValueError naming what does not fit."""
    config = checkpoint.read_config(folder)
    if "frozen_classifier" in config:
        from defectdistill.distillation.frozen_classifier import FrozenClassifier

        return FrozenClassifier.load(folder)
    return (FrozenResUNet if "frozen_resunet" in config else FrozenUNet3Plus).load(folder)
