"""What a stage needs to train a teacher of any kind."""

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
