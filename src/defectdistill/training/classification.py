"""The task of a classifier: label-smoothed cross-entropy, AdamW, warm-up cosine (cable paper, equations 7 to 10)."""

import dataclasses
from dataclasses import dataclass

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassRecall

from defectdistill.data.batches import NO_LABEL
from defectdistill.models.normalise import normalise
from defectdistill.models.students import Student, build_student
from defectdistill.training.class_weights import ClassWeights, class_weights
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import EPOCH, mean_over, seed_everything
from defectdistill.training.schedule import warmup_cosine


@dataclass(frozen=True)
class Optimisation:
    """How a classifier is optimised: rates per step, `warmup` and `epochs` in epochs, `label_smoothing` in [0, 1)."""

    lr: float
    min_lr: float
    weight_decay: float
    warmup: float
    epochs: int
    label_smoothing: float


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


class ClassificationTask(lightning.LightningModule):
    """Train a student on {"image": uint8 (B, H, W, 3), "label": int64 (B,)}.

    Logged per epoch: train_loss (smoothed, what is minimised), val_loss (plain cross-entropy in nats: smoothing
    would put a floor under it), accuracy, macro-F1 and macro-recall of both splits. `weighting` says what an image
    counts for in the training loss by its class; None: all alike.
    """

    def __init__(
        self, student: Student, classes: int, optimisation: Optimisation, weighting: ClassWeights | None = None
    ):
        super().__init__()
        self.student = student
        self.classes = classes
        self.optimisation = optimisation
        self.weighting = weighting
        self.train_metrics = classification_metrics(classes, "train_")
        self.val_metrics = classification_metrics(classes, "val_")

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the smoothed cross-entropy of a batch, in nats, mean over the images."""
        logits = self.student(normalise(batch["image"]))
        loss = self.hard_loss(logits, batch["label"])
        self.log_training(logits, batch["label"], {"loss": loss})
        return loss * batch_weight(batch["label"])

    def hard_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of logits (B, K) against labels (B,) smoothed by ε: (1−ε)·onehot + ε/K.

        The mean over the images that have a label, each times the weight of its class; 0 where none has.
        """
        smoothing = self.optimisation.label_smoothing
        if self.weighting is None:
            total = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="sum")
        else:
            each = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="none")
            total = self.weighting(each, labels).sum()
        return total / (labels != NO_LABEL).sum().clamp_min(1)

    def log_training(self, logits: torch.Tensor, labels: torch.Tensor, losses: dict[str, torch.Tensor]) -> None:
        """Log training losses under `train_NAME`, and the training metrics, as means over the epoch."""
        self.train_metrics.update(logits.detach(), labels)
        self.log_dict(self.train_metrics, **EPOCH)
        if self.weighting is not None:
            self.weighting.note(logits, labels)
            self.log_dict(self.weighting.named(), **EPOCH)
        scalars = {f"train_{name}": value.detach() for name, value in losses.items()}
        self.log_dict(scalars, **mean_over(len(labels)))

    def on_train_epoch_end(self) -> None:
        """Let the classes' weights follow what the epoch got right; the checkpoint comes after this."""
        if self.weighting is not None:
            self.weighting.end_epoch()

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log the plain cross-entropy and the metrics of a validation batch."""
        logits = self.student(normalise(batch["image"]))
        self.log_validation(logits, batch["label"])

    def log_validation(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Log val_loss and the validation metrics of logits (B, K); return val_loss of the batch."""
        self.val_metrics.update(logits, labels)
        self.log_dict(self.val_metrics, **EPOCH)
        loss = F.cross_entropy(logits.float(), labels)
        self.log("val_loss", loss, prog_bar=True, **mean_over(len(labels)))
        return loss

    def configure_optimizers(self) -> dict:
        """AdamW with the rate of `warmup_cosine`, set anew at every step (fractional epochs)."""
        settings = self.optimisation
        steps = self.trainer.estimated_stepping_batches / self.trainer.max_epochs  # in one epoch
        # lr=1 leaves the schedule's value as it is: LambdaLR multiplies.
        learned = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(learned, lr=1.0, weight_decay=settings.weight_decay, fused=True)

        def rate(step: int) -> float:
            epoch = (step + 1) / steps  # the first step is not spent at rate zero
            return warmup_cosine(epoch, settings.warmup, settings.epochs, settings.lr, settings.min_lr)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
