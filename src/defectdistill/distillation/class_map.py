"""The method `class_map`: the student says at each position what the teacher's class map says there.

Heads of one convolution read the student's levels and answer in probabilities (background first); they are dropped
after training. A student that segments says so itself. Segmentation maps as dense targets of a classifier: the teacher
knows *where* a class shows itself, so the student's features must. `masks` is the same with the true masks in the
teacher's place: the control that tells what a teacher adds.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.alignment import match_size
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.pair import Pair


def class_map_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of maps: logits (N, K + 1, H, W) from probabilities of that shape → scalar, in nats.

    The mean over positions and over images; an image whose target is zero everywhere (nothing is known) adds nothing
    and is not counted.
    """
    target = target.float()
    known = target.sum(dim=1).mean(dim=(1, 2))  # 1 an image, 0 where nothing is known
    terms = F.kl_div(logits.float().log_softmax(dim=1), target, reduction="none").sum(dim=1).mean(dim=(1, 2))
    return (terms * known).sum() / known.sum().clamp_min(1.0)


class ClassMap(nn.Module):
    """One head a level (`Pair.map_heads`), the mean of `class_map_loss` over the levels."""

    needs = frozenset({"maps"})

    def __init__(self, heads: nn.ModuleDict):
        super().__init__()
        self.heads = heads

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """Student's maps, or features, against the teacher's maps → `class_map` and `total`, the same scalar."""
        losses = []
        for stride, head in self.heads.items():
            target = teacher.maps[int(stride)]
            losses.append(class_map_loss(match_size(head(student.read_from(int(stride))), target), target))
        loss = torch.stack(losses).mean()
        return {"class_map": loss, "total": loss}


def build(pair: Pair, settings: dict) -> ClassMap:
    """Return the method for a student and a teacher."""
    return ClassMap(pair.map_heads(pair.channels + 1))
