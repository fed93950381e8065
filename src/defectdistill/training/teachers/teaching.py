"""What a stage needs to train a teacher of any kind."""

import sys
from dataclasses import dataclass, field
from typing import Any

from lightning import LightningModule
from torch import nn
from torch.utils.data import DataLoader


@dataclass(frozen=True)
class Teaching:
    """A teacher about to be trained: the `task`, the `network` in it, its batches, and what tells the best epoch.

    `monitor` is the name of that score and 'min' or 'max'; `config` what `model.json` will hold; `channels` names what
    a segmentation network marks, [] for another one.
    """

    task: LightningModule
    network: nn.Module
    train: DataLoader
    val: DataLoader
    monitor: tuple[str, str]
    config: dict[str, Any]
    channels: list[str] = field(default_factory=list)


def warn_of_the_unseen(data: dict[str, Any]) -> None:
    """Print which classes no mask shows: what a teacher that learns from masks alone says of them, nothing has taught.

    `data` is the prepared data's learned.json.
    """
    unseen = data["unmasked_classes"]
    if unseen:
        print(
            f"no mask shows {', '.join(unseen)}, and this teacher learns from masks alone: its evidence never speaks "
            "for it. Take network unet3plus with loss ce_dice_image, or distil no soft targets "
            "(distill.weights.soft_targets: 0)",
            file=sys.stderr,
        )
