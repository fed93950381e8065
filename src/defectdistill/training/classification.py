"""The task of a classifier: label-smoothed cross-entropy of the images (cable paper, equations 7 and 8)."""

import dataclasses
from collections.abc import Set
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassRecall

from defectdistill.data.batches import NO_LABEL
from defectdistill.distillation.answer import Answer
from defectdistill.models.students import Student, build_student, taps_of
from defectdistill.models.taps import Tap
from defectdistill.training.class_weights import ClassWeights, class_weights
from defectdistill.training.fit import EPOCH, mean_over, seed_everything
from defectdistill.training.student_task import Optimisation, StudentTask


def classification_metrics(classes: int, prefix: str) -> MetricCollection:
    """Return accuracy, macro-F1 and macro-recall over `classes` classes, named with `prefix`.

    Without the library's validation: it looks at the values of every batch, for which a GPU has to wait.
    """
    options = {"ignore_index": NO_LABEL, "validate_args": False}
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(classes, average="micro", **options),
            "macro_f1": MulticlassF1Score(classes, average="macro", **options),
            "macro_recall": MulticlassRecall(classes, average="macro", **options),
        },
        prefix=prefix,
    )


def classification_task(settings: dict, classes: int, labels: np.ndarray) -> "ClassificationTask":
    """Return the task that section `student` of params.yaml describes, with its student's first weights by its seed.

    `labels` int (N,) are those of the training images, which class weights are made from.
    """
    seed_everything(settings["seed"])
    student = build_student(settings["arch"], classes, settings["weights"])
    rates = {field.name: settings[field.name] for field in dataclasses.fields(Optimisation)}
    weighting = class_weights(settings["class_weights"], labels, classes)
    return ClassificationTask(student, classes, Optimisation(**rates), weighting)


class ClassificationTask(StudentTask):
    """Train a student on {"image": uint8 (B, H, W, 3), "label": int64 (B,)}.

    Logged per epoch: train_loss (smoothed, what is minimised), val_loss (plain cross-entropy in nats: smoothing
    would put a floor under it), accuracy, macro-F1 and macro-recall of both splits. `weighting` says what an image
    counts for in the training loss by its class; None: all alike.
    """

    def __init__(
        self, student: Student, classes: int, optimisation: Optimisation, weighting: ClassWeights | None = None
    ):
        super().__init__(student, classes, optimisation)
        self.weighting = weighting
        self.train_metrics = classification_metrics(classes, "train_")
        self.val_metrics = classification_metrics(classes, "val_")

    def parts(self) -> dict[str, Any]:
        """Return the arguments that build a task like this one, for the same student."""
        return super().parts() | {"weighting": self.weighting}

    def levels(self, strides: list[int]) -> dict[int, Tap]:
        """Return the student's levels of these strides; raises ValueError naming those that it does not have."""
        return taps_of(self.student, strides)

    def hard_loss(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of logits (B, K) against labels (B,) smoothed by ε: (1−ε)·onehot + ε/K.

        The mean over the images that have a label, each times the weight of its class; 0 where none has.
        """
        smoothing = self.optimisation.label_smoothing
        if self.weighting is None:
            total = F.cross_entropy(logits.float(), truth, label_smoothing=smoothing, reduction="sum")
        else:
            each = F.cross_entropy(logits.float(), truth, label_smoothing=smoothing, reduction="none")
            total = self.weighting(each, truth).sum()
        return total / (truth != NO_LABEL).sum().clamp_min(1)

    def answer(self, logits: torch.Tensor, features: dict[int, torch.Tensor], asked: Set[str]) -> Answer:
        """Return the features and, as scores, the logits."""
        return Answer(features, scores=logits)

    def log_training(self, logits: torch.Tensor, truth: torch.Tensor, losses: dict[str, torch.Tensor]) -> None:
        """Log training losses under `train_NAME`, and the training metrics, as means over the epoch."""
        self.train_metrics.update(logits.detach(), truth)
        self.log_dict(self.train_metrics, **EPOCH)
        if self.weighting is not None:
            self.weighting.note(logits, truth)
            self.log_dict(self.weighting.named(), **EPOCH)
        scalars = {f"train_{name}": value.detach() for name, value in losses.items()}
        self.log_dict(scalars, **mean_over(len(truth)))

    def on_train_epoch_end(self) -> None:
        """Let the classes' weights follow what the epoch got right; the checkpoint comes after this."""
        if self.weighting is not None:
            self.weighting.end_epoch()

    def log_validation(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        """Log val_loss and the validation metrics of logits (B, K) and labels (B,); return val_loss of the batch."""
        self.val_metrics.update(logits, truth)
        self.log_dict(self.val_metrics, **EPOCH)
        loss = F.cross_entropy(logits.float(), truth)
        self.log("val_loss", loss, prog_bar=True, **mean_over(len(truth)))
        return loss
