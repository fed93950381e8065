"""A training that can be killed and that is done once: restarted where it was, and never twice side by side.

What a training depends on gives its key. Under the key, in a folder that git and DVC do not see, lie its checkpoint
and afterwards, for a while, its result: of several queued experiments that share a new teacher one trains it, and the
others take what it made.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from filelock import FileLock, Timeout

from defectdistill.files import digest, replacing
from defectdistill.places import scratch
from defectdistill.processes import is_main_process
from defectdistill.stage import acquire
from defectdistill.training.compute import resolved

RESULT_LIFE = 3600.0  # seconds that a result waits for experiments that were queued beside it
CHECKPOINT_LIFE = 14 * 24 * 3600.0  # seconds after which a training that nobody went on with is given up
CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Work:
    """A training: `folder` for its checkpoints, `settings` that it depends on, `run` the key of its MLflow run.

    All are the same after a restart; `run` is '' beside the main process, which alone reports.
    """

    folder: Path
    settings: dict[str, Any]
    run: str


def train_once(
    stage: str,
    settings: dict[str, Any],
    inputs: Iterable[Path],
    outputs: Iterable[str],
    train: Callable[[Work], None],
) -> None:
    """Make `outputs` by `train`, or take them from another process that has just made them from the same inputs.

    `settings` and the content of `inputs` (files and folders), with the library's code, are all that the outputs
    depend on. `train` finds its last checkpoint in the folder that it is given.
    """
    key = key_of(stage, settings, inputs)
    folder = scratch() / "trainings" / f"{stage}-{key[:16]}"
    if not is_main_process():
        train(Work(folder, settings, run=""))
        return
    prune(folder.parent)
    with held(folder, stage) as waited:
        folder.mkdir(parents=True, exist_ok=True)
        result = folder / "result"
        if result.is_dir() and (waited or in_copy()):
            print(f"{stage}: another experiment has just made the same; taking its result", file=sys.stderr)
            copy(outputs, result, Path())
            return
        if not (folder / "run").exists():
            with replacing(folder / "run") as path:
                path.write_text(uuid.uuid4().hex)
        shutil.rmtree(result, ignore_errors=True)  # whose short life would be that of the new checkpoints
        train(Work(folder, settings, (folder / "run").read_text()))
        finish(folder, outputs)


def key_of(stage: str, settings: dict[str, Any], inputs: Iterable[Path]) -> str:
    """Return the SHA-256 of all that a training depends on."""
    library = CHECKOUT / "src" / "defectdistill"
    code = [path for path in sorted(library.rglob("*.py")) if "tracking" not in path.parts]
    facts = {
        "stage": stage,
        "settings": settings,
        "inputs": digest(inputs),
        "code": digest([*code, *sorted((CHECKOUT / "stages").glob("*.py"))], CHECKOUT),
        # What auto comes to: a checkpoint of another machine's precision would go on as something that was never set.
        "machine": resolved(settings.get("compute.accelerator", "auto"), settings.get("compute.precision", "auto")),
        "libraries": [torch.__version__, lightning.__version__],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def in_copy() -> bool:
    """Whether this is a temporary copy of the repository, as `--temp` and the queue make them."""
    return Path.cwd().is_relative_to(scratch().parent)


def lock_of(folder: Path) -> FileLock:
    """Return the lock of a training's folder."""
    return FileLock(scratch() / "locks" / folder.name)


@contextmanager
def held(folder: Path, stage: str) -> Iterator[bool]:
    """Hold a training's lock; yields whether another process had it first."""
    lock = lock_of(folder)
    waited = acquire(lock, f"{stage}: another process trains the same; waiting for its result")
    try:
        yield waited
    finally:
        lock.release()


def copy(outputs: Iterable[str], source: Path, target: Path) -> None:
    """Copy files and folders with their relative paths from one folder to another."""
    for path in outputs:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if (source / path).is_dir():
            shutil.copytree(source / path, target / path)
        else:
            shutil.copy(source / path, target / path)


def finish(folder: Path, outputs: Iterable[str]) -> None:
    """Remove the checkpoints, and under dvc keep the result for those who wait for it."""
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        if "DVC_STAGE" in os.environ:
            copy(outputs, Path(), beside / "result")
    except OSError:  # a full disk must not undo a training that is done
        shutil.rmtree(beside)
    remove(folder)
    if beside.is_dir():
        os.replace(beside, folder)


def remove(folder: Path) -> None:
    """Remove a training's folder, under another name first: one of two checkpoints alone would not be gone on from."""
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    os.replace(folder, gone)
    shutil.rmtree(gone)


def prune(trainings: Path) -> None:
    """Remove results that nobody waits for any more, and checkpoints that nobody went on with."""
    for folder in trainings.iterdir() if trainings.is_dir() else []:
        life = RESULT_LIFE if (folder / "result").is_dir() else CHECKPOINT_LIFE
        with contextlib.suppress(Timeout, OSError):
            if time.time() - folder.stat().st_mtime > life:
                with lock_of(folder).acquire(blocking=False):
                    remove(folder)
