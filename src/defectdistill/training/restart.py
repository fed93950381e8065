"""What a training needs, beyond Lightning's own checkpoints, to go on after a kill and end in the same bytes."""

import io
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.plugins import TorchCheckpointIO

from defectdistill.data.samplers import EPOCHS
from defectdistill.files import replacing


class Restartable(Callback):
    """What Lightning's checkpoints leave out: the state of the random numbers, and that a training had stopped early.

    Every epoch begins with its own seed, which no epoch of a training with another seed has, so that dropout in the
    tenth does not depend on whether the ninth ran in the same process.
    """

    def __init__(self, seed: int, early: EarlyStopping):
        self.seed, self.early = seed, early

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Stop again at once where the killed training had stopped and was about to finish."""
        trainer.should_stop = self.early.wait_count >= self.early.patience

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed the epoch at its first batch: whether its loader has drawn a number before differs after a restart."""
        if batch_idx == 0:
            torch.manual_seed(self.seed * EPOCHS + trainer.current_epoch)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint whole or not at all (Lightning's own way is no single step where /tmp is another disk)."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str, storage_options: Any = None) -> None:
        """Write beside the earlier file, then take its place."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        torch.save(checkpoint, content)  # into memory: torch would not say that a disk is full
        with replacing(Path(path)) as beside:
            beside.write_bytes(content.getbuffer())
