"""The task of the teacher: segment the defect, binary or one channel a class, judged by Dice and IoU."""

import sys

import lightning
import torch
from torch import nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryF1Score, BinaryJaccardIndex

from defectdistill.models.normalise import normalise
from defectdistill.models.segmenter import defect_logits
from defectdistill.models.unet3plus import build_teacher
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import EPOCH, mean_over, seed_everything


class SegmentationLoss(nn.Module):
    """Binary cross-entropy on logits, alone ('bce', the paper's) or plus soft Dice ('bce_dice'), both in fp32."""

    def __init__(self, name: str):
        super().__init__()
        self.cross_entropy = nn.BCEWithLogitsLoss()
        self.dice = None
        if name == "bce_dice":
            from segmentation_models_pytorch.losses import DiceLoss  # its import takes seconds

            self.dice = DiceLoss(mode="multilabel", from_logits=True)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Logits and 0/1 target, both (N, C, H, W) → scalar, mean over all values (Dice: over channels)."""
        logits = logits.float()
        loss = self.cross_entropy(logits, target)
        return loss if self.dice is None else loss + self.dice(logits, target)


def segmentation_target(masks: torch.Tensor, channels: int) -> torch.Tensor:
    """Label map (N, H, W), 0 = background → float 0/1 (N, C, H, W): any defect (C = 1), or one channel a class."""
    if channels == 1:
        return (masks > 0).float().unsqueeze(1)
    classes = torch.arange(1, channels + 1, device=masks.device, dtype=masks.dtype)
    return (masks.unsqueeze(1) == classes[:, None, None]).float()


def segmentation_task(settings: dict, channels: int) -> "SegmentationTask":
    """Return the task that section `teacher` of params.yaml describes, with its network's first weights by its seed."""
    seed_everything(settings["seed"])
    network = build_teacher(settings["encoder"], settings["width"], channels, settings["weights"])
    return SegmentationTask(network, channels, settings["loss"], settings["lr"])


def warn_of_nothing_found(history: list[dict[str, float]]) -> None:
    """Say so if no epoch of a training found a defect on the validation split."""
    if not any(row["val_dice"] for row in history):
        advice = "try teacher.loss=bce_dice, more epochs, larger images"
        print(f"the teacher found no defect on the validation split: it has little to teach; {advice}", file=sys.stderr)


class SegmentationTask(lightning.LightningModule):
    """Train a segmentation network on {"image": uint8 (B, H, W, 3), "mask": label map uint8 (B, H, W)}.

    Adam at a constant rate (the paper's). Logged per epoch: train_loss, val_loss, and val_dice, val_iou and
    val_soft_dice of defect against background, pooled over all pixels, so that binary and per-class teachers are
    judged alike. val_soft_dice, Dice of the probabilities, tells the better of two epochs in which no pixel passes
    one half yet: small marks begin so.
    """

    def __init__(self, network: nn.Module, channels: int, loss: str, lr: float):
        super().__init__()
        self.network = network
        self.channels = channels
        self.loss = SegmentationLoss(loss)
        self.lr = lr
        self.dice, self.iou, self.soft_dice = (
            BinaryF1Score(validate_args=False),
            BinaryJaccardIndex(validate_args=False),
            MeanMetric(),
        )

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        loss = self.loss(self.network(normalise(batch["image"])), segmentation_target(batch["mask"], self.channels))
        self.log("train_loss", loss.detach(), **mean_over(len(batch["image"])))
        return loss * batch_weight(batch["image"])

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log loss, Dice and IoU of a validation batch."""
        logits = self.network(normalise(batch["image"])).float()
        loss = self.loss(logits, segmentation_target(batch["mask"], self.channels))
        defect, true = defect_logits(logits).flatten(), batch["mask"].flatten() > 0
        self.dice.update(defect > 0, true)
        self.iou.update(defect > 0, true)
        probs = defect.sigmoid()
        area = probs.sum() + true.sum()
        self.soft_dice.update(2 * probs[true].sum() / area, weight=area)  # weighted so, the mean over batches pools
        self.log("val_loss", loss, **mean_over(len(logits)))
        self.log("val_dice", self.dice, **EPOCH, prog_bar=True)
        self.log("val_iou", self.iou, **EPOCH)
        self.log("val_soft_dice", self.soft_dice, **EPOCH)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, the paper's optimiser."""
        return torch.optim.Adam(self.parameters(), lr=self.lr, fused=True)
