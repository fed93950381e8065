"""Train a task with Lightning, keep the best weights, and return what each epoch measured."""

import csv
import logging
import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch.utils.data import DataLoader

from defectdistill.training.compute import Machine
from defectdistill.training.distributed import layer_sync

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advertisements in a stage's output
# Batches come out of memory-mapped arrays whole: worker processes would only copy them.
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's own, of no use to a user

EPOCH = {"on_step": False, "on_epoch": True}  # how a task logs everything: one value an epoch, which History collects
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


def mean_over(images: int) -> dict:
    """Return how a task logs a batch's mean: weighted by its images, over the epoch and over all processes.

    The weight is a float: Lightning averages the processes' counts, and in whole numbers 2 and 1 image average to 1.
    """
    return {**EPOCH, "sync_dist": True, "batch_size": float(images)}


class History(Callback):
    """Collect one row of metrics an epoch and hand each to `on_epoch(row)`; a loss that is not finite is an error."""

    def __init__(self, on_epoch: Callable[[dict[str, float]], None]):
        self.rows: list[dict[str, float]] = []
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note the epoch's means; training and validation of the epoch are both done here."""
        row = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
        lost = [name for name in ("train_loss", "val_loss") if not math.isfinite(row[name])]
        if lost:
            raise ValueError(
                f"{' and '.join(lost)} of epoch {trainer.current_epoch} not finite: the training diverged; lower the "
                "learning rate"
            )
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.rows.append({"epoch": trainer.current_epoch, "learning_rate": rate, **row})
        self.on_epoch(self.rows[-1])


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: call it before the model is built."""
    lightning.seed_everything(seed, verbose=False)


def fit(
    task: lightning.LightningModule,
    train: DataLoader,
    validation: DataLoader,
    *,
    epochs: int,
    monitor: str,
    mode: str,
    patience: int,
    machine: Machine,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> list[dict[str, float]]:
    """Train `task` in place and return its history, one row an epoch.

    The weights of the epoch with the best `monitor` ('min' or 'max' by `mode`) are loaded at the end; training stops
    after `patience` epochs without a better one. With several processes each takes its share of every batch, and what
    counts afterwards is in the main one. Raises ValueError if the loss stops being finite.
    """
    smallest = min(len(validation.dataset), *(loader.sampler.batch_size for loader in (train, validation)))
    if machine.processes > smallest:
        raise ValueError(
            f"{machine.processes} processes for batches or a validation split of {smallest} images: each needs one; "
            "lower compute.devices or compute.nodes, or raise the batch size"
        )
    task.to(memory_format=torch.channels_last)
    history = History(on_epoch)
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor=monitor, mode=mode, save_top_k=1, save_weights_only=True)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy="ddp" if machine.processes > 1 else "auto",
            plugins=[layer_sync(machine.accelerator)] if machine.processes > 1 else None,
            use_distributed_sampler=False,  # the loaders share out their batches
            precision=PRECISIONS[machine.precision],
            callbacks=[
                history,
                best,
                EarlyStopping(monitor, mode=mode, patience=patience),
                TQDMProgressBar(refresh_rate=10),
            ],
            deterministic="warn",
            logger=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(task, train, validation)
        if trainer.is_global_zero:
            task.load_state_dict(torch.load(best.best_model_path, weights_only=True, map_location="cpu")["state_dict"])
    task.eval()
    return history.rows


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the history as CSV, one row an epoch, for `dvc plots` and the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
