"""The journal of a run: all that a stage reports, kept on disk until the MLflow store has it.

A stage only ever writes here, so that no server can hold it up; `delivery.py` sends. A folder a journal:

    run.json        key, experiment, name, tags, start (ms)
    events.jsonl    one line an event: params, metrics with step and time, tags, an artifact, links, a status
    artifacts/      what was to be stored, copied
    sent.json       how many events the store has
    lock            held by whoever writes or sends: a journal whose lock is free has lost its writer

A full disk or a kill may tear a line of events.jsonl, which then counts for nothing; what comes after it counts.
"""

import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from defectdistill.files import replacing
from defectdistill.places import scratch

FINAL = ("FINISHED", "FAILED", "KILLED")
RUN = {"key", "experiment", "name", "tags", "start"}  # what run.json says
BEGINNING = 60.0  # seconds after which a journal that holds nothing yet is given up


def journals_folder() -> Path:
    """Return the folder of all journals, at the main repository's root."""
    return scratch() / "tracking"


class Damaged(ValueError):
    """A journal cannot be read: not by any store, nor later."""


def now() -> int:
    """Return the time in milliseconds, as MLflow counts it."""
    return int(time.time() * 1000)


class Journal:
    """A run's events on disk: appended by its stage, read by whoever sends them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.lock = FileLock(folder / "lock", thread_local=False)

    @classmethod
    def start(cls, key: str, stage: str, experiment: str, name: str, tags: dict[str, str]) -> "Journal":
        """Begin a journal of the run that is called `key`, and hold its lock."""
        folder = journals_folder() / f"{time.time_ns():020d}-{stage}"
        (folder / "artifacts").mkdir(parents=True)
        journal = cls(folder)
        journal.lock.acquire()
        run = {"key": key, "experiment": experiment, "name": name, "tags": tags, "start": now()}
        with replacing(folder / "run.json") as path:
            path.write_text(json.dumps(run))
        return journal

    @property
    def run(self) -> dict[str, Any]:
        """What the run is; raises Damaged where run.json does not say it."""
        run = self._load("run.json")
        if not isinstance(run, dict) or not run.keys() >= RUN:
            raise Damaged(f"run.json of a journal is damaged (expected an object with {', '.join(sorted(RUN))})")
        return run

    def append(self, **event: Any) -> None:
        """Write an event, on a line of its own whatever the last one came to."""
        line = json.dumps({"time": now(), **event}) + "\n"
        with open(self.folder / "events.jsonl", "a+b") as file:
            if file.seek(0, io.SEEK_END):
                file.seek(-1, io.SEEK_END)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())

    def keep(self, path: Path) -> None:
        """Copy a file or folder and write the event that stores it with the run."""
        folder = self.folder / "artifacts" / str(len(list((self.folder / "artifacts").iterdir())))
        folder.mkdir()
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder)
        self.append(artifact=f"{folder.name}/{path.name}")

    def events(self) -> list[dict[str, Any]]:
        """Return the events written so far; a line that a kill or a full disk cut short is none."""
        return self.read()[0]

    def torn(self) -> list[int]:
        """Return the numbers, from 1, of the whole lines that are no events."""
        return self.read()[1]

    def read(self) -> tuple[list[dict[str, Any]], list[int]]:
        """Return the events and the torn lines; what stands behind the last line's end is still being written."""
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1] if path.exists() else []
        events, torn = [], []
        for number, line in enumerate(lines, start=1):
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if isinstance(event, dict):
                events.append(event)
            else:
                torn.append(number)
        return events, torn

    def sent(self) -> int:
        """Return how many events the store has; raises Damaged where sent.json does not say it."""
        return self._load("sent.json") if (self.folder / "sent.json").exists() else 0

    def _load(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text())
        except ValueError as error:
            raise Damaged(f"{name} of a journal is damaged ({error})") from error

    def mark_sent(self, count: int) -> None:
        """Note how many events the store has."""
        with replacing(self.folder / "sent.json") as path:
            path.write_text(json.dumps(count))

    def take(self) -> bool:
        """Try to get the lock of a journal without a writer; False while another process has it or it is gone."""
        try:
            begun = self.folder.stat().st_ctime
            self.lock.acquire(blocking=False)
        except (Timeout, FileNotFoundError):
            return False
        if (self.folder / "run.json").exists():
            return True
        if time.time() - begun > BEGINNING:  # its writer was killed before it had begun
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.release()
        return False

    def put_aside(self) -> Path:
        """Move a journal that cannot be read to where nobody looks for journals; returns its new folder."""
        target = journals_folder().with_name("tracking-damaged") / self.folder.name
        target.parent.mkdir(exist_ok=True)
        return self.folder.rename(target)

    def remove(self) -> None:
        """Delete a journal that the store has whole, moved first: half of one looks like a killed run's."""
        sent = journals_folder().with_name("tracking-sent")
        sent.mkdir(exist_ok=True)  # and it stays: others may be moving theirs there
        self.folder.rename(sent / self.folder.name)
        for left in sent.iterdir():  # with what a kill left
            shutil.rmtree(left, ignore_errors=True)
        self.lock.release()


def waiting() -> list[Journal]:
    """Return all journals, oldest first."""
    folder = journals_folder()
    return [Journal(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
