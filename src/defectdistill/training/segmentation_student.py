"""The task of a student that segments: weighted cross-entropy of its pixels, judged by Dice per class ("cwd").

Its K output channels are classes against a background whose logit is zero (`models/class_map.py`).
"""

import dataclasses
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from defectdistill.data.batches import NO_LABEL
from defectdistill.data.packed import masked_in, open_array
from defectdistill.distillation.answer import Answer
from defectdistill.models.class_map import class_evidence, class_maps, with_background
from defectdistill.models.resunet import ResUNet, build_resunet
from defectdistill.models.taps import Tap, select_taps
from defectdistill.training.class_overlap import ClassOverlap
from defectdistill.training.fit import mean_over, seed_everything
from defectdistill.training.student_task import Optimisation, StudentTask

Truth = dict[str, torch.Tensor]


def segmentation_student_task(settings: dict, data: dict[str, Any], train: Path) -> "SegmentationStudentTask":
    """Return the task that section `student` of params.yaml describes, with its network's first weights by its seed.

    `data` is the prepared data's learned.json, `train` the folder of the training images, whose masks weigh the
    classes. Raises ValueError for data by which no epoch could be chosen, or the network not be measured afterwards.
    """
    require_marked(data["marked_splits"])
    classes = len(data["classes"])
    seed_everything(settings["seed"])
    keys = ("encoder", "global_context", "feature_fusion", "weights")
    network = build_resunet(classes=classes, **{key: settings[key] for key in keys})
    rates = {field.name: settings[field.name] for field in dataclasses.fields(Optimisation) if field.name in settings}
    return SegmentationStudentTask(network, classes, Optimisation(**rates), class_weights(train, classes))


def require_marked(marked: Sequence[str]) -> None:
    """Raise ValueError naming the splits none of whose images has a mask that shows a defect: Dice is 0 there, whatever
    is learned, or not defined. Before a training that would be wasted; `marked` names the splits that have such images.
    """
    empty = [split for split in ("val", "test") if split not in marked]
    if empty:
        raise ValueError(
            f"no image of {' and '.join(empty)} has a mask that shows a defect, so a network that segments could not "
            "be judged: give more masks, or try another prepare.seed or larger prepare.val_fraction and "
            "prepare.test_fraction"
        )


def class_weights(folder: Path, classes: int) -> torch.Tensor:
    """Return what a pixel of background and of each class counts for in the loss: float32 (K + 1,).

    w_c = f_c^(−1/2) / Σ_k f_k^(1/2), f_c the share of c among the pixels of all masks [choice: the steel paper says
    "weighted"]: rarer classes weigh more, and Σ f_c·w_c = 1, so that the mean weight of a pixel is 1. A class that no
    mask shows counts for nothing. Raises ValueError where no mask shows a defect.
    """
    masks, counts = open_array(folder / "masks.npy"), np.zeros(classes + 1)
    for row in np.flatnonzero(masked_in(folder)):
        counts += np.bincount(masks[row].ravel(), minlength=classes + 1)
    if not counts[1:].any():
        raise ValueError(f"{folder}: no mask shows a defect, so nothing can be learned: give masks")
    root = np.sqrt(counts / counts.sum())
    weights = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0) / root.sum()
    return torch.from_numpy(weights).float()


class SegmentationStudentTask(StudentTask):
    """Train a ResUNet on {"image": uint8 (B, H, W, 3), "mask": label maps uint8 (B, H, W), "masked": float (B,)}.

    `masked` says which images have a mask. Logged per epoch: train_loss, val_loss (the weighted cross-entropy in
    nats), and of the validation split, over all pixels together, val_mean_dice and val_mean_iou (means over the
    classes), val_soft_dice (the same of probabilities) and val_dice (any defect against background).
    """

    monitor = monitor_taught = ("val_soft_dice", "max")

    def __init__(self, student: ResUNet, classes: int, optimisation: Optimisation, pixel_weights: torch.Tensor):
        super().__init__(student, classes, optimisation)
        self.map_channels = classes + 1
        self.register_buffer("pixel_weights", pixel_weights)
        self.overlap = ClassOverlap(classes)

    def parts(self) -> dict[str, Any]:
        """Return the arguments that build a task like this one, for the same student."""
        return super().parts() | {"pixel_weights": self.pixel_weights}

    def levels(self, strides: list[int]) -> dict[int, Tap]:
        """Return the student's levels of these strides; raises ValueError naming those that it does not have."""
        return select_taps({tap.stride: tap for tap in self.student.taps}, strides, "the student's encoder")

    def arrays(self, folder: Path) -> dict[str, np.ndarray]:
        """Return masks, and which images have one; of images without a label none has."""
        count, height, width = open_array(folder / "images.npy").shape[:3]
        file = folder / "masks.npy"
        masks = open_array(file) if file.exists() else np.broadcast_to(np.uint8(0), (count, height, width))
        return {"mask": masks, "masked": masked_in(folder).astype(np.float32)}

    def counted(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return a number (B,) for each image with a mask, NO_LABEL for the others."""
        return torch.where(batch["masked"] > 0, 0, NO_LABEL)

    def truth(self, batch: dict[str, torch.Tensor]) -> Truth:
        """Return masks, and which images have one."""
        return {name: batch[name] for name in ("mask", "masked")}

    def hard_loss(self, logits: torch.Tensor, truth: Truth) -> torch.Tensor:
        """Return the weighted cross-entropy of logits (B, K, H, W), in nats: the mean over all pixels of the images
        that have a mask, 0 where none has.
        """
        every = with_background(logits.float())
        pixels = F.cross_entropy(every, truth["mask"].long(), weight=self.pixel_weights, reduction="none")
        masked = truth["masked"]
        return (pixels.mean(dim=(1, 2)) * masked).sum() / masked.sum().clamp_min(1)

    def answer(self, logits: torch.Tensor, features: dict[int, torch.Tensor], asked: Set[str]) -> Answer:
        """Return the features and, if `asked` for, the student's own class map at their strides (for maps, and for true
        masks in their place) and its evidence for the classes (scores).
        """
        logits = logits.float()
        maps = class_maps(logits, features) if asked & {"maps", "masks"} else {}
        return Answer(features, maps, class_evidence(logits) if "scores" in asked else None)

    def log_training(self, logits: torch.Tensor, truth: Truth, losses: dict[str, torch.Tensor]) -> None:
        """Log training losses under `train_NAME`, as means over the epoch."""
        scalars = {f"train_{name}": value.detach() for name, value in losses.items()}
        self.log_dict(scalars, **mean_over(len(logits)))

    def log_validation(self, logits: torch.Tensor, truth: Truth) -> torch.Tensor:
        """Log val_loss of logits (B, K, H, W), the mean over all images of the split that have a mask, and add to the
        overlaps; return val_loss of the batch.
        """
        loss, masked = self.hard_loss(logits, truth), truth["masked"] > 0
        self.log("val_loss", loss, prog_bar=True, **mean_over(int(masked.sum())))
        self.overlap.update(with_background(logits.float()).softmax(dim=1)[masked], truth["mask"][masked])
        return loss

    def on_validation_epoch_end(self) -> None:
        """Log the overlaps of the whole split."""
        values = self.overlap.compute()  # the same in every process: it sums over all
        self.overlap.reset()
        self.log_dict({f"val_{name}": value for name, value in values.items()}, sync_dist=True)
