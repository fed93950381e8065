"""The output folder: a run writes into `unfinished/` in it, and what is whole takes the earlier results' place.

So a table in the output folder is always a complete one, and a run that was killed goes on from where it was: the same
command finds its rows in `unfinished/`. Rows of another run are never mixed in, nor thrown away without a word.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from defectdistill.data.tables import read_json, write_json
from defectdistill.prediction.tables import LINES, REJECTED, TABLE

UNFINISHED, JOB, LOCK = "unfinished", "job.json", "lock"
PAGE, SUMMARY = "index.html", "summary.json"
WRITTEN = (
    PAGE,
    REJECTED,
    LINES,
    TABLE,
    SUMMARY,
)  # moved in this order: until the tables are, a run can be gone on from


def job(paths: Sequence[Path], **settings: object) -> dict[str, object]:
    """Return what must be the same for a run to go on from another one's rows: settings, and a digest of the paths."""
    words = "\0".join(os.fsdecode(path) for path in (Path.cwd(), *paths))
    return {**settings, "paths": hashlib.sha256(os.fsencode(words)).hexdigest()}


@contextmanager
def unfinished(output: Path, wanted: Mapping[str, object], restart: bool) -> Iterator[Path]:
    """Yield the folder to write to, with the rows of an interrupted run of the same job, and move its files at the end.

    An exception leaves the folder as it is. Raises ValueError where `output` holds files of these names that were not
    written here, rows of another job (unless `restart`, which drops what is unfinished), or where another process
    writes.
    """
    _check_ours(output)
    folder = output / UNFINISHED
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
        shutil.rmtree(folder)


def _check_ours(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output {output} is a file: expected a folder, new or of an earlier run")
    there = [name for name in WRITTEN if (output / name).exists()]
    if there and SUMMARY not in there and not (output / UNFINISHED / JOB).exists():
        raise ValueError(f"{output / there[0]} was not written by predict: give another --output, nothing is replaced")


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
    for name in (*WRITTEN, JOB):
        (folder / name).unlink(missing_ok=True)
    write_json(path, wanted)


def _has_rows(folder: Path) -> bool:
    headers = {LINES: 0, REJECTED: len("path,reason\n")}
    return any((folder / name).exists() and (folder / name).stat().st_size > size for name, size in headers.items())
