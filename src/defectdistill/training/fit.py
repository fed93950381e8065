"""Train a task with Lightning, keep the best or the last weights, and return what each epoch measured.

After every epoch all that the next one depends on is on disk; a training that was killed goes on from there and ends
in the same bytes.
"""

import csv
import logging
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar
from torch.utils.data import DataLoader

from defectdistill.models.batch_norms import check_batch_norms
from defectdistill.models.small_map_convolution import small_maps_as_products
from defectdistill.processes import is_main_process
from defectdistill.training.compute import Machine
from defectdistill.training.distributed import layer_sync
from defectdistill.training.restart import Restartable, WholeCheckpoints

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advertisements in a stage's output
# Batches come out of memory-mapped arrays whole: worker processes would only copy them.
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # a restart's does
warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning's own, of no use to a user

EPOCH = {"on_step": False, "on_epoch": True}  # how a task logs everything: one value an epoch, which History collects
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
LIMITS = {"epochs", "patience", "seed"}  # the keys of a section of params.yaml that `fit` takes
RESUME, KEPT = "resume", "kept"  # the files (.ckpt) in a training's folder


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

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the rows of a training that was killed, and hand them on again."""
        self.rows = state_dict["rows"]
        for row in self.rows:
            self.on_epoch(row)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch: call it before the model is built."""
    lightning.seed_everything(seed, verbose=False)


def fit(
    task: lightning.LightningModule,
    train: DataLoader,
    validation: DataLoader,
    *,
    folder: Path,
    history: Path,
    seed: int,
    epochs: int,
    patience: int | None,
    monitor: tuple[str, str],
    machine: Machine,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> list[dict[str, float]]:
    """Train `task` in place, write its `history` (CSV) and return it, one row an epoch.

    The weights of the epoch with the best `monitor` (its name, 'min' or 'max') are loaded at the end; training stops
    after `patience` epochs without a better one. Without `patience` every epoch is trained and the last one's weights
    are loaded. The column `kept` of the history is 1 in the row of the epoch that was loaded.

    `folder` holds the checkpoints, and a training that finds one there goes on from it: `on_epoch` then gets the
    earlier rows again. With several processes each takes its share of every batch, and what counts afterwards is in the
    main one. Raises ValueError if the loss stops being finite.
    """
    check_shares(train, validation, machine)
    if machine.processes > 1:
        check_batch_norms(task, "the network, or a teacher that it asks in every step (freeze.store: always asks none)")
    watched, mode = monitor
    if is_main_process():
        print(f"{epochs * len(train)} optimiser steps: {epochs} epochs of {len(train)}", file=sys.stderr)
    task.to(memory_format=torch.channels_last)
    task.train()  # Lightning leaves it as it comes, and an earlier training of the same network left it in evaluation
    rows = History(on_epoch)
    # Without patience never: not after as many epochs as there are, nor for a score that is no number.
    early = EarlyStopping(watched, mode=mode, patience=patience or epochs, check_finite=patience is not None)
    best, of = (watched, mode) if patience else ("epoch", "max")
    always = {"dirpath": folder, "save_on_train_epoch_end": True, "enable_version_counter": False}
    callbacks = [
        rows,
        early,
        Restartable(seed, early),
        TQDMProgressBar(refresh_rate=10),
        ModelCheckpoint(filename=KEPT, monitor=best, mode=of, save_weights_only=True, **always),
        ModelCheckpoint(filename=RESUME, **always),  # after the other, so that it knows of it
    ]
    trainer = trainer_on(machine, epochs, callbacks)
    begun = folder / f"{RESUME}.ckpt"
    with small_maps_as_products(task):
        trainer.fit(task, train, validation, ckpt_path=begun if begun.exists() else None, weights_only=True)
    if trainer.is_global_zero:
        kept = torch.load(folder / f"{KEPT}.ckpt", weights_only=True, map_location="cpu")
        task.load_state_dict(kept["state_dict"])
        rows.rows = [row | {"kept": float(row["epoch"] == kept["epoch"])} for row in rows.rows]
        write_history(history, rows.rows)
    task.eval()
    return rows.rows


def trainer_on(machine: Machine, epochs: int, callbacks: list[Callback]) -> lightning.Trainer:
    """Return Lightning's trainer for the machine, with what holds for every training here."""
    several = machine.processes > 1
    # Deterministic algorithms fill all new memory with NaN, lest it be read before it is written: 7 to 10 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy="ddp" if several else "auto",
        plugins=[WholeCheckpoints(), *([layer_sync(machine.accelerator)] if several else [])],
        use_distributed_sampler=False,  # the loaders share out their batches
        precision=PRECISIONS[machine.precision],
        callbacks=callbacks,
        deterministic="warn",
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def check_shares(train: DataLoader, validation: DataLoader, machine: Machine) -> None:
    """Raise ValueError where a batch or the validation split has fewer images than there are processes."""
    smallest = min(len(validation.dataset), *(loader.sampler.batch_size for loader in (train, validation)))
    if machine.processes > smallest:
        raise ValueError(
            f"{machine.processes} processes for batches or a validation split of {smallest} images: each needs one; "
            "lower compute.devices or compute.nodes, or raise the batch size"
        )


def write_history(path: Path, rows: list[dict[str, float]]) -> None:
    """Write the history as CSV, one row an epoch, for `dvc plots` and the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
