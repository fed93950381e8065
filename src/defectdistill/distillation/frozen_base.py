"""What every frozen teacher has in common: it only looks, and it is a checkpoint folder."""

from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from defectdistill import checkpoint, model_forms, model_json
from defectdistill.distillation.answer import EVERYTHING, Answer
from defectdistill.models.class_map import class_evidence, class_maps
from defectdistill.models.taps import Tap


class Frozen(nn.Module):
    """A teacher in evaluation mode whatever `train()` says, without gradients; none of its buffers move.

    `form` is the form of its model.json, where `config` stands. A kind of teacher has `taps` {stride: Tap}, the number
    of `channels` of its maps, and what it `says` of an image. It maps (N, in, H, W) float, normalised, to an `Answer`;
    `only` says which of that will be read.
    """

    form: ClassVar[type[model_forms.ModelJson]]
    taps: dict[int, Tap]
    channels: int
    says: frozenset[str]
    asked: frozenset[str] = EVERYTHING

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = config

    def settle(self) -> None:
        """Freeze what has been built."""
        self.requires_grad_(False)
        self.eval()

    def only(self, asked: Set[str]) -> None:
        """Nobody will read anything else of an `Answer`: what can be left out for it is."""
        self.asked = frozenset(asked)

    def answer(self, features: Mapping[int, torch.Tensor], logits: torch.Tensor) -> Answer:
        """Return what is asked for of features {stride: (N, C, h, w)} and of a segmentation's logits (N, K, H, W)."""
        logits = logits.float()
        maps = class_maps(logits, features) if "maps" in self.asked else {}
        scores = class_evidence(logits) if "scores" in self.asked else None
        return Answer(dict(features) if "features" in self.asked else {}, maps, scores)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: batch norm in a frozen network would go on moving otherwise."""
        return super().train(False)

    def save(self, folder: Path) -> None:
        """Write weights and config as a checkpoint folder."""
        checkpoint.save(folder, self.state_dict(), {self.form.key: self.config})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Rebuild one from its folder; raises FileNotFoundError or ValueError naming what does not fit."""
        config = getattr(model_json.read_model_json(folder, cls.form), cls.form.key)
        cls.check(folder, config)
        teacher = model_json.build(folder, lambda: cls(config.model_dump()))
        return checkpoint.load_into(teacher, folder)

    @classmethod
    def check(cls, folder: Path, config: Any) -> None:
        """Raise ValueError where the weights in a folder are not those of its config, before anything is built."""
