"""Run a stage: alone in its folder, and with errors that say in a line what this library refuses on purpose."""

import errno
import hashlib
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from defectdistill.places import scratch
from defectdistill.processes import end_with_dvc, is_main_process

STORAGE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
LIBRARY = Path(__file__).resolve().parent
KEPT = (
    "; what earlier stages made is untouched, and what this one made before is in DVC's cache: `dvc checkout` brings "
    "it back"
)


def run_stage(name: str, main: Callable[[], None], outputs: Sequence[str] = ()) -> None:
    """Call `main` with `outputs` cleared, one process at a time in a folder; it ends with the dvc that started it.

    A ValueError or OSError that was raised in this library exits with `name: message`, and so does a disk that is full
    or may not be written to, with the way back to `outputs`. Any other error from inside another library is a bug, ours
    or theirs, and its traceback is needed.
    """
    end_with_dvc()
    try:
        if not is_main_process():
            main()
            return
        with alone(name):
            clear(outputs)
            main()
    except (ValueError, OSError) as error:
        words = in_words(error, outputs)
        if words is None:
            raise
        sys.exit(f"{name}: {words}" + (KEPT if outputs and is_refused_by_disk(error) else ""))


def in_words(error: Exception, outputs: Sequence[str] = ()) -> str | None:
    """Return what a person is told of an error that this library raised on purpose, or the disk; None for a bug.

    `outputs` are named where the disk does not say itself which file it refused.
    """
    if is_refused_by_disk(error):
        return unwritable(error, outputs)
    if not isinstance(error, ValueError | OSError):
        return None
    last = traceback.extract_tb(error.__traceback__)[-1]
    # What is written in C leaves no line of its own: `int("x")` in a line of ours is a bug, a `raise` is none.
    meant = Path(last.filename).is_relative_to(LIBRARY) and (last.line or "").lstrip().startswith("raise")
    return str(error) if meant else None


def is_refused_by_disk(error: Exception) -> bool:
    """Whether a file could not be written or read because the disk is full or the right to is missing."""
    return isinstance(error, OSError) and error.errno in STORAGE


def unwritable(error: OSError, outputs: Sequence[str]) -> str:
    """Return in words where the disk refused, why, and what to do."""
    named = error.filename if isinstance(error.filename, str) else None  # else None, or the number of an open file
    where = named or f"one of {', '.join(outputs) or 'the files'} in {Path.cwd()}"
    place = existing(named or next(iter(outputs), "."))
    free = shutil.disk_usage(place).free
    return (
        f"{where} cannot be written or read: {error.strerror} ({free / 1e9:.2f} GB are free in {place}). Make room, or "
        "give the right to"
    )


def existing(path: str) -> Path:
    """Return the nearest folder above a path that is there, or the path itself if it is a folder."""
    whole = Path(path).absolute()
    return next(folder for folder in (whole, *whole.parents) if os.path.isdir(folder))


def alone(name: str) -> FileLock:
    """Return the held lock of a stage in this folder: the system frees it when its process ends, however it ends."""
    place = hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:16]
    lock = FileLock(scratch() / "locks" / f"{name}-{place}")
    acquire(lock, f"{name}: another process runs this stage in this folder; waiting for its end")
    return lock


def acquire(lock: FileLock, message: str) -> bool:
    """Take a lock, saying so once if another process has it; returns whether one had."""
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(message, file=sys.stderr, flush=True)
        lock.acquire()
        return True
    return False


def clear(outputs: Iterable[str]) -> None:
    """Remove files and folders, as dvc does before it starts a stage: an orphan may have written since then."""
    for path in map(Path, outputs):
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:  # rmtree names the entry alone
            raise OSError(error.errno, error.strerror, str(path)) from error
