"""The output folder: a run writes into a hidden folder in it, and what is whole takes the earlier results' place.

So a table in the output folder is always a complete one, and a run that was killed goes on from where it was: the same
command finds its rows in the hidden folder. Rows of another run are never mixed in, nor thrown away without a word, and
files that were not written here are neither replaced nor removed.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from defectdistill.data.sources.folder.names import shown
from defectdistill.data.tables import read_json, write_json
from defectdistill.prediction.tables import LINES, REJECTED, TABLE

UNFINISHED, JOB, LOCK = ".predict-unfinished", "job.json", "lock"
PAGE, SUMMARY = "index.html", "summary.json"
# Moved in this order: the summary says from the first one on that the folder is ours, and the lines, of which the table
# can be made again, are what a run is gone on from.
WRITTEN = (SUMMARY, PAGE, REJECTED, TABLE, LINES)
TORN = f".{TABLE}.new"  # a kill while the table is written anew leaves it
MARKS = {"model", "temperature", "threshold", "images"}  # keys that a summary written here has


def job(paths: Sequence[Path], **settings: object) -> dict[str, object]:
    """Return what must be the same for a run to go on from another one's rows: settings, and a digest of the paths."""
    words = "\0".join(os.fsdecode(path) for path in (Path.cwd(), *paths))
    return {**settings, "paths": hashlib.sha256(os.fsencode(words)).hexdigest()}


@contextmanager
def unfinished(output: Path, wanted: Mapping[str, object], restart: bool) -> Iterator[Path]:
    """Yield the folder to write to, with the rows of an interrupted run of the same job, and move its files at the end.

    An exception leaves the folder as it is. Raises ValueError where `output` holds files of these names, or the hidden
    folder any files, that were not written here, rows of another job (unless `restart`, which drops what is
    unfinished), or where another process writes.
    """
    folder = output / UNFINISHED
    _check_ours(output)
    _check_unfinished(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ValueError(f"another process writes into {output}: wait for its end, or give another --output") from None
    with lock:
        _go_on(folder, wanted, restart)
        yield folder
        for name in WRITTEN:
            if (folder / name).exists():
                os.replace(folder / name, output / name)
            else:
                (output / name).unlink(missing_ok=True)  # an earlier run's page does not belong to these tables
        for name in (JOB, TORN, LOCK):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody put a file there while it ran
            folder.rmdir()


def _check_ours(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file: expected a folder, new or of an earlier run")
    there = [name for name in WRITTEN if os.path.lexists(output / name)]
    if there and not _is_ours(output / SUMMARY):
        raise ValueError(f"{output / there[0]} was not written by predict: give another --output, nothing is replaced")


def _is_ours(summary: Path) -> bool:
    """Whether a summary.json was written here: many programs write a file of this name, `prepare` too."""
    try:
        return read_json(summary).keys() >= MARKS
    except (ValueError, FileNotFoundError):
        return False


def _check_unfinished(folder: Path) -> None:
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = there - {*WRITTEN, JOB, TORN, LOCK} or (there - {LOCK} if JOB not in there else set())
    if foreign:
        raise ValueError(
            f"{folder} was not written by predict alone, it holds {shown(min(foreign))}: move what is yours elsewhere, "
            "or give another --output; nothing is replaced"
        )


def _go_on(folder: Path, wanted: Mapping[str, object], restart: bool) -> None:
    """Leave in `folder` the rows of the same job, or nothing but its description."""
    path = folder / JOB
    if path.exists() and not restart and _has_rows(folder):
        if read_json(path) == dict(wanted):
            return
        raise ValueError(
            f"{folder} holds rows of a run with other photographs, settings or another model that was interrupted: "
            "finish it with its own command, give another --output, or --restart to drop them"
        )
    for name in (*WRITTEN, TORN, JOB):
        (folder / name).unlink(missing_ok=True)
    write_json(path, wanted)


def _has_rows(folder: Path) -> bool:
    headers = {LINES: 0, REJECTED: len("path,reason\n")}
    return any((folder / name).exists() and (folder / name).stat().st_size > size for name, size in headers.items())
