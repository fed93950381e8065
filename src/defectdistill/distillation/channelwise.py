"""The method `channelwise`: where each channel of a map looks, as a distribution over positions (Shu et al. 2021).

"Channel-wise Knowledge Distillation for Dense Prediction", ICCV 2021, equations 3 and 4; the steel paper ("cwd") passes
the last class maps so, but for a softmax over the classes before, whose logarithm is taken here [choice: docs/methods].
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.alignment import match_size
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.feature_fusion import at_least_fp32
from defectdistill.distillation.pair import Pair

SMALLEST = 1e-6  # added to probabilities whose logarithm is taken: a store in half precision knows none below 6e-8


def channelwise_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher ‖ student) of the softmax over the positions of each channel, (N, C, H, W) logits → scalar, in nats.

    Softened by `temperature` τ > 0, the sum over positions, the mean over channels and images, times τ²: the official
    code's convention. Computed from logarithms (peaked maps would give infinity) and in fp32 at least. Raises
    ValueError for unequal shapes.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student maps are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: align")
    own = (at_least_fp32(student).flatten(2) / temperature).log_softmax(dim=2)
    wanted = (at_least_fp32(teacher).flatten(2) / temperature).log_softmax(dim=2)
    terms = F.kl_div(own, wanted, reduction="sum", log_target=True)
    return terms * temperature**2 / (student.shape[0] * student.shape[1])


class Channelwise(nn.Module):
    """One head a level reads a class map from the student (`Pair.map_heads`); the mean of the loss over the levels.

    Maps are probabilities, background first; their logarithms stand for the logits [choice]: both have the same softmax
    over the channels, and with τ = 1 the softmax over the positions is then a class's probability at each, as a share
    of all positions. `SMALLEST` is added to those of both sides where the student has a map of its own: a class that is
    nowhere then looks everywhere alike for both, and a student that says what the teacher says has no loss.
    """

    needs = frozenset({"maps"})

    def __init__(self, heads: nn.ModuleDict, temperature: float):
        super().__init__()
        self.heads = heads
        self.temperature = temperature

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """Student's maps, or features, against the teacher's maps → `channelwise` and `total`, the same scalar."""
        losses = []
        for stride, head in self.heads.items():
            target = teacher.maps[int(stride)].float().add(SMALLEST).log()
            read = match_size(head(student.read_from(int(stride))), target)
            if isinstance(head, nn.Identity):  # the student's own map
                read = read.exp().add(SMALLEST).log()
            losses.append(channelwise_loss(read, target, self.temperature))
        loss = torch.stack(losses).mean()
        return {"channelwise": loss, "total": loss}


def build(pair: Pair, settings: dict) -> Channelwise:
    """Return the method for a student and a teacher."""
    return Channelwise(pair.map_heads(pair.channels + 1), settings["temperature"])
