"""The method `hint`: a regressor turns the student's guided layer into the teacher's hint layer (Romero et al. 2015).

"FitNets: Hints for Thin Deep Nets", ICLR 2015, equation 3; here the mean of the squared error in place of half the sum.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.alignment import ChannelAverage, match_size
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.feature_fusion import at_least_fp32
from defectdistill.distillation.pair import Pair


def hint_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared error of the student's regressed features and the teacher's, of one shape → scalar, fp32 at least.

    Raises ValueError for unequal shapes.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student features are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: align")
    return F.mse_loss(at_least_fp32(student), at_least_fp32(teacher))


class Hint(nn.Module):
    """A convolutional regressor a level (3×3, with bias [choice]); the mean of `hint_loss` over the levels.

    `align: False` puts `ChannelAverage` in its place, which learns nothing: does the added matrix itself matter?
    """

    needs = frozenset({"features"})

    def __init__(self, channels: dict[int, tuple[int, int]], align: bool = True):
        super().__init__()
        self.regressors = nn.ModuleDict(
            {
                str(stride): nn.Conv2d(own, wanted, 3, padding=1) if align else ChannelAverage(wanted)
                for stride, (own, wanted) in channels.items()
            }
        )

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """The features of both → `hint` and `total`, the same scalar."""
        losses = []
        for stride, regressor in self.regressors.items():
            wanted = teacher.features[int(stride)]
            losses.append(hint_loss(match_size(regressor(student.features[int(stride)]), wanted), wanted))
        loss = torch.stack(losses).mean()
        return {"hint": loss, "total": loss}


def build(pair: Pair, settings: dict) -> Hint:
    """Return the method for a student and a teacher."""
    channels = {stride: (tap.channels, pair.teacher[stride].channels) for stride, tap in pair.student.items()}
    return Hint(channels, settings["align"])
