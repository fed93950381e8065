"""One training of a student, of which a course may have several: its task, what its batches hold, how it is judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.batches import image_batches
from defectdistill.training.compute import Machine
from defectdistill.training.fit import LIMITS, fit
from defectdistill.training.student_task import StudentTask


@dataclass(frozen=True)
class Lesson:
    """A `task`, further `arrays` of each split for its batches, `more` images without a label with theirs, or None.

    `monitor` is the score that tells the best epoch and 'min' or 'max', if not the task's own; `name` tells the lessons
    of one course apart; `epochs` replaces the student's, if given; `begin` is called when the lessons before it are
    over.
    """

    task: StudentTask
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    more: tuple[Path, dict[str, np.ndarray]] | None = None
    monitor: tuple[str, str] | None = None
    name: str = ""
    epochs: int | None = None
    begin: Callable[[], None] = lambda: None

    def give(
        self,
        splits: dict[str, Path],
        settings: dict[str, Any],
        machine: Machine,
        folder: Path,
        metrics: Path,
        on_epoch: Callable[[dict[str, float]], None],
    ) -> None:
        """Train, with checkpoints in `folder`, and write the history into `metrics`: history.csv, or NAME.csv.

        `splits` are the folders of train and val, `settings` the keys of section `student`. A lesson that is over, of a
        course that was killed in a later one, only loads the weights that it kept.
        """
        self.begin()
        loading = {"batch_size": settings["batch_size"], "on_gpu": machine.on_gpu}
        train, val = (self.task.arrays(splits[split]) | self.arrays.get(split, {}) for split in ("train", "val"))
        more = self.more and (self.more[0], self.task.arrays(self.more[0]) | self.more[1])
        seed, limits = settings["seed"], {name: settings[name] for name in LIMITS}
        fit(
            self.task,
            image_batches(
                splits["train"], seed=seed, extra=train, further=more, dihedral=settings["dihedral"], **loading
            ),
            image_batches(splits["val"], extra=val, **loading),
            machine=machine,
            monitor=self.monitor or self.task.monitor,
            folder=folder / self.name,
            history=metrics / f"{self.name or 'history'}.csv",
            on_epoch=lambda row: on_epoch(self.named(row)),
            **limits | ({"epochs": self.epochs} if self.epochs else {}),
        )

    def named(self, row: dict[str, float]) -> dict[str, float]:
        """Return a row of the history as it is tracked: beside the lessons of one run it needs a name, `hint/val_loss`.

        Each lesson counts its epochs from 0, and a run has one value of a metric in an epoch.
        """
        return {f"{self.name}/{key}" if self.name and key != "epoch" else key: value for key, value in row.items()}
