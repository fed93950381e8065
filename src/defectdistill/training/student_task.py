"""What training a student is, whatever it learns: AdamW, warm-up cosine, its own loss (cable paper, equations 9, 10).

`training/classification.py` and `training/segmentation_student.py` say what that loss is and what is logged; a
teacher's part is mixed in by `training/distillation.py`.
"""

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import nn

from defectdistill.data.dihedral import laid
from defectdistill.distillation.answer import Answer
from defectdistill.models.normalise import normalise
from defectdistill.models.taps import Tap
from defectdistill.training.distributed import batch_weight
from defectdistill.training.schedule import warmup_cosine


@dataclass(frozen=True)
class Optimisation:
    """How a student is optimised: rates per step, `warmup` and `epochs` in epochs, `label_smoothing` in [0, 1)."""

    lr: float
    min_lr: float
    weight_decay: float
    warmup: float
    epochs: int
    label_smoothing: float = 0.0


class StudentTask(lightning.LightningModule):
    """Train a student on batches with {"image": uint8 (B, H, W, 3), "label": int64 (B,)} and the task's `arrays`.

    Training batches may say how their images are to be laid (`data/dihedral.py`).

    `monitor` is the score that tells the best epoch and 'min' or 'max', `monitor_taught` the same where a teacher takes
    part; `map_channels` how many channels the student's own class map has, background included, 0 where it has none.
    """

    monitor = ("val_loss", "min")
    monitor_taught = ("val_objective", "min")
    map_channels = 0

    def __init__(self, student: nn.Module, classes: int, optimisation: Optimisation):
        super().__init__()
        self.student, self.classes, self.optimisation = student, classes, optimisation

    def parts(self) -> dict[str, Any]:
        """Return the arguments that build a task like this one, for the same student."""
        return {"student": self.student, "classes": self.classes, "optimisation": self.optimisation}

    def levels(self, strides: list[int]) -> dict[int, Tap]:
        """Return the student's levels of these strides; raises ValueError naming those that it does not have."""
        raise NotImplementedError

    def arrays(self, folder: Path) -> dict[str, np.ndarray]:
        """Return what batches of a split's folder hold beside images and labels."""
        return {}

    def counted(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the labels (B,) of the images that count in `hard_loss`, NO_LABEL for the others."""
        return batch["label"]

    def truth(self, batch: dict[str, torch.Tensor]) -> Any:
        """Return what the logits of a batch are held against."""
        return batch["label"]

    def hard_loss(self, logits: torch.Tensor, truth: Any) -> torch.Tensor:
        """Return the loss without a teacher, the mean over the images that count, 0 where none does."""
        raise NotImplementedError

    def answer(self, logits: torch.Tensor, features: dict[int, torch.Tensor], asked: Set[str]) -> Answer:
        """Return what the student says, in the form in which it is compared with a teacher; of what takes computing
        (maps, scores) only what is `asked` for.
        """
        raise NotImplementedError

    def log_training(self, logits: torch.Tensor, truth: Any, losses: dict[str, torch.Tensor]) -> None:
        """Log training losses under `train_NAME`, and the training metrics, as means over the epoch."""
        raise NotImplementedError

    def log_validation(self, logits: torch.Tensor, truth: Any) -> torch.Tensor:
        """Log val_loss and the validation metrics; return val_loss of the batch."""
        raise NotImplementedError

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the student's own loss of a batch."""
        batch = laid(batch)
        logits, truth = self.student(normalise(batch["image"])), self.truth(batch)
        loss = self.hard_loss(logits, truth)
        self.log_training(logits, truth, {"loss": loss})
        return loss * batch_weight(self.counted(batch), labelled=True)

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log loss and metrics of a validation batch."""
        self.log_validation(self.student(normalise(batch["image"])), self.truth(batch))

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
