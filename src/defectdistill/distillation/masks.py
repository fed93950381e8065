"""The method `masks`: the true masks as dense target, and no teacher at all.

What a fair comparison holds a teacher against: whoever has masks can give them to the student at once. Images without
a mask take no part.
"""

from defectdistill.distillation import class_map
from defectdistill.distillation.pair import Pair


class Masks(class_map.ClassMap):
    """`ClassMap` whose target is made from the masks."""

    needs = frozenset({"masks"})


def build(pair: Pair, settings: dict) -> Masks:
    """Return the method for a student; of the pair's teacher nothing is asked."""
    return Masks(pair.map_heads(pair.classes + 1))
