"""What a network says of images, in the form in which teacher and student are compared and a store keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

FEATURES, MAPS, SCORES = "features", "class_map", "evidence"  # how the arrays of a store are called; stride follows
EVERYTHING = frozenset({"features", "maps", "scores"})  # what a method may ask a teacher for


@dataclass(frozen=True)
class Answer:
    """What a teacher, or a student, says of N images.

    `features` {stride: (N, C, H/stride, W/stride)}; `maps` {stride: (N, K + 1, H/stride, W/stride)}, class maps of a
    network that segments (probabilities, background first; a teacher's are all zero where nothing is known); `scores`
    (N, K), the evidence for its classes or a classifier's logits; None where there is none.
    """

    features: dict[int, torch.Tensor] = field(default_factory=dict)
    maps: dict[int, torch.Tensor] = field(default_factory=dict)
    scores: torch.Tensor | None = None

    def read_from(self, stride: int) -> torch.Tensor:
        """Return what a head reads a student's class map from: the logarithm of its own one, or its features."""
        if not self.maps:
            return self.features[stride]
        own = self.maps[stride].float()
        return own.clamp_min(torch.finfo(own.dtype).tiny).log()

    def arrays(self) -> dict[str, torch.Tensor]:
        """Return the parts by name, maps as (N, H, W, C): channels_last without a copy when they are read again."""
        parts = {}
        for name, levels in ((FEATURES, self.features), (MAPS, self.maps)):
            parts |= {f"{name}{stride}": level.permute(0, 2, 3, 1) for stride, level in levels.items()}
        return parts if self.scores is None else parts | {SCORES: self.scores}

    @classmethod
    def of(cls, arrays: Mapping[str, torch.Tensor]) -> "Answer":
        """Return the answer whose `arrays` these are."""

        def levels(name: str) -> dict[int, torch.Tensor]:
            found = {key: value for key, value in arrays.items() if key.startswith(name)}
            return {int(key.removeprefix(name)): value.permute(0, 3, 1, 2) for key, value in found.items()}

        return cls(levels(FEATURES), levels(MAPS), arrays.get(SCORES))
