"""The method `relational`: how the images of a batch lie to each other (Park et al. 2019).

"Relational Knowledge Distillation", CVPR 2019, equations 5 to 9, in the official code's conventions: means run over all
pairs and triplets, those of an image with itself too, which are zero on both sides.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.answer import Answer
from defectdistill.distillation.feature_fusion import at_least_fp32
from defectdistill.distillation.pair import Pair

SHORTEST = 1e-24  # squared length of a difference that counts as none; its gradient would be infinite


def distance_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Smooth L1 of all pairwise Euclidean distances, each side's divided by its own mean: (N, D), (N, E) → scalar.

    The mean is over distances above zero; embeddings that are all equal have distances of zero. A batch of one has no
    pair: 0, with a gradient of 0. In fp32 at least, from differences (products lose the distances of embeddings that
    lie far from the origin). Raises ValueError for unequal numbers of images.
    """
    check(student, teacher)
    return F.smooth_l1_loss(relative_distances(student), relative_distances(teacher))


def angle_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Smooth L1 of the cosines of all angles ∠ijk between embeddings (N, D), (N, E) → scalar; else as `distance_loss`.

    Memory grows with N³.
    """
    check(student, teacher)
    return F.smooth_l1_loss(cosines(student), cosines(teacher))


def check(student: torch.Tensor, teacher: torch.Tensor) -> None:
    """Raise ValueError where the two are no embeddings of the same images."""
    if student.ndim != 2 or teacher.ndim != 2 or len(student) != len(teacher):
        raise ValueError(
            f"embeddings are {tuple(student.shape)} and {tuple(teacher.shape)}: expected (N, D) and (N, E) of the same "
            "N images"
        )


def differences(embeddings: torch.Tensor) -> torch.Tensor:
    """(N, D) → (N, N, D), entry [i, j] is embedding j − embedding i."""
    embeddings = at_least_fp32(embeddings)
    return embeddings.unsqueeze(0) - embeddings.unsqueeze(1)


def lengths(vectors: torch.Tensor) -> torch.Tensor:
    """(..., D) → (...): Euclidean lengths, exactly 0, with a gradient of 0, where a vector is next to nothing."""
    squares = vectors.square().sum(dim=-1)
    some = squares > SHORTEST
    return torch.where(some, torch.where(some, squares, 1.0).sqrt(), 0.0)


def relative_distances(embeddings: torch.Tensor) -> torch.Tensor:
    """(N, D) → (N, N): pairwise distances divided by their mean over the pairs that are apart."""
    distances = lengths(differences(embeddings))
    apart = (distances > 0).sum().clamp_min(1)
    mean = distances.sum() / apart
    return distances / torch.where(mean > 0, mean, 1.0)


def cosines(embeddings: torch.Tensor) -> torch.Tensor:
    """(N, D) → (N, N, N): cosines of the angles at each image between the directions to two others."""
    directions = differences(embeddings)
    long = lengths(directions).unsqueeze(-1)
    directions = directions / torch.where(long > 0, long, 1.0)
    return directions @ directions.transpose(1, 2)


class Relational(nn.Module):
    """Distances and angles of embeddings, the deepest level's features averaged over positions, weighted.

    [choice] The texts that we follow name 25 and 50 for the weights and no layer.
    """

    needs = frozenset({"features"})

    def __init__(self, stride: int, weights: tuple[float, float]):
        super().__init__()
        self.stride, self.weights = stride, weights

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """The features of both → `distance`, `angle` and `total`, scalars."""
        own, wanted = (at_least_fp32(answer.features[self.stride]).mean(dim=(2, 3)) for answer in (student, teacher))
        with torch.autocast(own.device.type, enabled=False):  # it would take the products to bf16
            terms = {"distance": distance_loss(own, wanted), "angle": angle_loss(own, wanted)}
        return terms | {"total": self.weights[0] * terms["distance"] + self.weights[1] * terms["angle"]}


def build(pair: Pair, settings: dict) -> Relational:
    """Return the method for a student and a teacher."""
    return Relational(max(pair.student), (settings["distance"], settings["angle"]))
