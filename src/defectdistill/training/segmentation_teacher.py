"""The task of the teacher: segment the defect, binary or one channel a class, judged by Dice and IoU."""

import dataclasses
import sys
from collections.abc import Collection
from dataclasses import dataclass

import lightning
import numpy as np
import torch
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex, MulticlassAccuracy

from defectdistill.models.class_map import class_evidence, defect_logits
from defectdistill.models.normalise import normalise
from defectdistill.models.unet3plus import build_unet3plus
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import EPOCH, mean_over, seed_everything
from defectdistill.training.schedule import warmup_cosine
from defectdistill.training.segmentation_loss import SegmentationLoss

WARMUP = 1.0  # epochs of the schedule `cosine`
ADVICE = "try more epochs (teacher.epochs), larger images (prepare.image_size), more masks"


@dataclass(frozen=True)
class SegmentationRates:
    """How a teacher is optimised: `lr` constant, or `schedule` 'cosine' over `epochs`; decoupled `weight_decay`."""

    lr: float
    schedule: str
    weight_decay: float
    epochs: int


def segmentation_task(settings: dict, channels: int, normal: Collection[int] = ()) -> "SegmentationTask":
    """Return the task that section `teacher` of params.yaml describes, with its network's first weights by its seed."""
    seed_everything(settings["seed"])
    network = build_unet3plus(settings["encoder"], settings["width"], channels, settings["weights"])
    rates = {field.name: settings[field.name] for field in dataclasses.fields(SegmentationRates)}
    return SegmentationTask(network, SegmentationLoss(settings["loss"]), SegmentationRates(**rates), normal)


def warn_of_little_to_teach(history: list[dict[str, float]], labels: np.ndarray) -> None:
    """Say so if the epoch that a training kept found no defect on the validation split, whose `labels` are int (N,), or
    tells its classes no better than who always names the commonest.
    """
    kept = next(row for row in history if row["kept"])
    right, always = kept.get("val_accuracy", 1.0), np.bincount(labels).max() / len(labels)
    if not kept["val_dice"]:
        found = "found no defect on the validation split"
    elif right <= always + 1e-6:
        found = (
            f"is right about {right:.0%} of the validation photographs, and who always named their commonest class "
            f"would be about {always:.0%}"
        )
    else:
        return
    print(f"WARNING: the teacher {found}: it has little to teach; {ADVICE}", file=sys.stderr)


class SegmentationTask(lightning.LightningModule):
    """Train a segmentation network on {"image": uint8 (B, H, W, 3), "mask": label map uint8 (B, H, W), "label" (B,)}.

    `masked` (B,) says which images have a mask. Logged per epoch: train_loss, val_loss (cross-entropies alone: overlap
    is a matter of a whole split), and val_dice, val_iou and val_soft_dice of defect against background, pooled over all
    pixels, so that binary and per-class teachers are judged alike; `normal` channels, of classes without defects, count
    as background there. val_soft_dice, Dice of the probabilities, tells the better of two epochs in which no pixel
    passes one half yet: small marks begin so. Of several channels also val_accuracy, of their evidence for the image's
    class.
    """

    def __init__(
        self, network: nn.Module, loss: SegmentationLoss, rates: SegmentationRates, normal: Collection[int] = ()
    ):
        super().__init__()
        self.normal = normal
        self.network, self.loss, self.rates = network, loss, rates
        self.dice, self.iou, self.soft_dice = (
            BinaryF1Score(validate_args=False),
            BinaryJaccardIndex(validate_args=False),
            MeanMetric(),
        )
        channels = network.decoder.head.out_channels
        self.accuracy = MulticlassAccuracy(channels, average="micro", validate_args=False) if channels > 1 else None

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch: the mean over its images, and the overlap of the global batch."""
        logits = self.network(normalise(batch["image"]))
        images, overlap = self.loss.of_images(logits, batch).mean(), self.loss.of_overlap(logits, batch)
        self.log("train_loss", (images + overlap).detach(), **mean_over(len(logits)))
        return images * batch_weight(batch["label"]) + overlap

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log loss, Dice and IoU of a validation batch."""
        logits = self.network(normalise(batch["image"])).float()
        self.log("val_loss", self.loss.of_images(logits, batch).mean(), **mean_over(len(logits)))
        if self.accuracy is not None:
            self.accuracy.update(class_evidence(logits), batch["label"])
            self.log("val_accuracy", self.accuracy, **EPOCH, prog_bar=True)
        masked = batch["masked"].bool()
        defect = defect_logits(logits, self.normal)[masked].flatten()
        true = batch["mask"][masked].flatten() > 0
        if masked.any():  # these two do not take a batch of none
            self.dice.update(defect > 0, true)
            self.iou.update(defect > 0, true)
        probs = defect.sigmoid()
        area = probs.sum() + true.sum()
        self.soft_dice.update(2 * probs[true].sum() / area.clamp_min(1e-6), weight=area)  # pools over the batches
        self.log("val_dice", self.dice, **EPOCH, prog_bar=True)
        self.log("val_iou", self.iou, **EPOCH)
        self.log("val_soft_dice", self.soft_dice, **EPOCH)

    def configure_optimizers(self) -> dict:
        """AdamW, without decay the paper's Adam, at a constant rate (the paper's) or a cosine down to zero."""
        rates = self.rates
        optimiser = torch.optim.AdamW(self.parameters(), lr=1.0, weight_decay=rates.weight_decay, fused=True)
        steps = self.trainer.estimated_stepping_batches / self.trainer.max_epochs  # in one epoch

        def rate(step: int) -> float:
            if rates.schedule == "constant":
                return rates.lr
            return warmup_cosine((step + 1) / steps, min(WARMUP, rates.epochs / 2), rates.epochs, rates.lr, 0.0)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
