"""The method `combined`: a weighted sum of methods, each switched off by the weight 0."""

import torch
from torch import nn

from defectdistill.distillation import class_map, feature_fusion, soft_targets
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.pair import Pair

PARTS = {"feature_fusion": feature_fusion, "class_map": class_map, "soft_targets": soft_targets}


class Combined(nn.Module):
    """`parts` by name and what each one's total is multiplied by."""

    def __init__(self, parts: dict[str, nn.Module], weights: dict[str, float]):
        super().__init__()
        self.parts = nn.ModuleDict(parts)
        self.weights = weights
        self.needs = frozenset().union(*(part.needs for part in parts.values()))

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """→ the raw terms of all parts and their weighted `total`, scalars."""
        terms, total = {}, 0.0
        for name, part in self.parts.items():
            of_part = part(student, teacher)
            total = total + self.weights[name] * of_part.pop("total")
            terms |= of_part
        return terms | {"total": total}


def build(pair: Pair, settings: dict) -> Combined:
    """Return the parts whose weight is above 0."""
    weights = {name: weight for name, weight in settings["weights"].items() if weight > 0}
    return Combined({name: PARTS[name].build(pair, settings) for name in weights}, weights)
