"""The method `soft_targets`: the student's answer for the image against the teacher's (Hinton et al. 2015).

The teacher is a segmentation network: its answer for an image is the pooled evidence of its class map.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.answer import Answer
from defectdistill.distillation.pair import Pair


def soft_target_loss(student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher ‖ student) of (N, K) logits softened by `temperature` τ > 0, mean over the batch, times τ², in nats.

    τ² keeps the gradient's size independent of τ (Hinton et al. 2015, section 2).
    """
    student = (student_logits.float() / temperature).log_softmax(dim=1)
    teacher = (teacher_logits.float() / temperature).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


class SoftTargets(nn.Module):
    """`soft_target_loss` of the student's logits and the teacher's evidence."""

    needs = frozenset({"scores"})

    def __init__(self, temperature: float):
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """→ `soft_targets` and `total`, the same scalar."""
        loss = soft_target_loss(student.scores, teacher.scores, self.temperature)
        return {"soft_targets": loss, "total": loss}


def build(pair: Pair, settings: dict) -> SoftTargets:
    """Return the method; raises ValueError for a teacher that knows no classes."""
    if pair.channels != pair.classes:
        raise ValueError(
            f"the teacher has {pair.channels} channel(s) for {pair.classes} classes: it has no answer for an image; "
            "train it with teacher.target: classes, or switch distill.weights.soft_targets off (0)"
        )
    return SoftTargets(settings["temperature"])
