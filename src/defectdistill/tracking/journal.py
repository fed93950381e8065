"""The journal of a run: all that a stage reports, kept on disk until the MLflow store has it.

A stage only ever writes here, so that no server can hold it up; `delivery.py` sends. A folder a journal:

    run.json        key, experiment, name, tags, start (ms)
    events.jsonl    one line an event: params, metrics with step and time, tags, an artifact, links, a status
    artifacts/      what was to be stored, copied
    sent.json       how many events the store has
    lock            held by whoever writes or sends: a journal whose lock is free has lost its writer
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from defectdistill.files import replacing
from defectdistill.places import scratch

FINAL = ("FINISHED", "FAILED", "KILLED")
BEGINNING = 60.0  # seconds after which a journal that holds nothing yet is given up


def journals_folder() -> Path:
    """Return the folder of all journals, at the main repository's root."""
    return scratch() / "tracking"


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
        """What the run is."""
        return json.loads((self.folder / "run.json").read_text())

    def append(self, **event: Any) -> None:
        """Write an event."""
        with open(self.folder / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps({"time": now(), **event}) + "\n")

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
        """Return the events written so far; a last line that a kill cut short is none."""
        path = self.folder / "events.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def sent(self) -> int:
        """Return how many events the store has."""
        path = self.folder / "sent.json"
        return json.loads(path.read_text()) if path.exists() else 0

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

    def remove(self) -> None:
        """Delete a journal that the store has whole."""
        shutil.rmtree(self.folder)
        self.lock.release()


def waiting() -> list[Journal]:
    """Return all journals, oldest first."""
    folder = journals_folder()
    return [Journal(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
