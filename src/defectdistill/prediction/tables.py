"""The tables of predictions, written as they come: what is on disk when a process is killed stays and is gone on from.

`predictions.jsonl` and `predictions.csv` hold the same rows; each batch is in all files before the next one begins.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from defectdistill.assess import Assessment
from defectdistill.data.sample import Rejected
from defectdistill.files import replacing, writing

LINES, TABLE, REJECTED = "predictions.jsonl", "predictions.csv", "rejected.csv"
DIGITS = 6

Record = dict[str, object]


def records(names: Sequence[str], assessed: Assessment, classes: Sequence[str]) -> list[Record]:
    """Return one row an image as it stands in the tables; numbers are rounded to six decimals, entropy is in nats."""
    return [
        {
            "path": name,
            "class": assessed.classes[row],
            "confidence": round(float(assessed.confidence[row]), DIGITS),
            "entropy": round(float(assessed.entropy[row]), DIGITS),
            "uncertain": bool(assessed.uncertain[row]),
            "probabilities": {
                label: round(float(value), DIGITS)
                for label, value in zip(classes, assessed.probabilities[row], strict=True)
            },
        }
        for row, name in enumerate(names)
    ]


class Tables:
    """The three tables in a folder, open for appending; what an interrupted run left there is kept."""

    def __init__(self, folder: Path, classes: Sequence[str]):
        self.folder, self.classes = folder, list(classes)
        columns = ("path", "class", "confidence", "entropy", "uncertain", *(f"probability/{c}" for c in classes))
        self.files = []
        _drop_torn_line(folder / LINES)
        _drop_torn_line(folder / REJECTED)
        if (folder / LINES).exists():  # the two may be a batch apart: the one follows from the other
            with replacing(folder / TABLE) as beside, beside.open("w", encoding="utf-8", newline="") as file:
                file.write(_csv_line(columns))
                file.writelines(self._row(record) for record in read_lines(folder))
        self.lines = self._open(LINES, "")
        self.table = self._open(TABLE, _csv_line(columns))
        self.rejected = self._open(REJECTED, _csv_line(("path", "reason")))

    def write(self, rows: Sequence[Record], rejected: Sequence[Rejected]) -> None:
        """Append a batch and hand it to the system: from here on a kill of this process loses none of it."""
        with writing(self.folder):
            self.lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            self.table.writelines(self._row(row) for row in rows)
            self.rejected.writelines(_csv_line((item.name, item.reason)) for item in rejected)
            for file in self.files:
                file.flush()

    def close(self) -> None:
        """Close the files."""
        for file in self.files:
            file.close()

    def _open(self, name: str, header: str) -> io.TextIOWrapper:
        file = (self.folder / name).open("a", encoding="utf-8", newline="")
        if file.tell() == 0:
            file.write(header)
            file.flush()
        self.files.append(file)
        return file

    def _row(self, record: Record) -> str:
        values = [record["confidence"], record["entropy"]]
        probs = [record["probabilities"][label] for label in self.classes]
        cells = [f"{value:.{DIGITS}f}" for value in (*values, *probs)]
        return _csv_line((record["path"], record["class"], *cells[:2], str(record["uncertain"]).lower(), *cells[2:]))


def read_lines(folder: Path) -> Iterator[Record]:
    """Yield the rows of `predictions.jsonl` one after the other; raises ValueError naming a line that is none."""
    with (folder / LINES).open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(
                    f"{folder / LINES}, line {number} is damaged ({error}): begin anew with --restart"
                ) from error


def read_rejected(folder: Path) -> Iterator[Rejected]:
    """Yield the rows of `rejected.csv` one after the other."""
    with (folder / REJECTED).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Rejected(row["path"], row["reason"])


class Done:
    """Which names the tables of a folder hold already; of each a digest of 8 bytes is kept."""

    def __init__(self, folder: Path):
        self.digests = np.unique(np.fromiter((_digest(name) for name in _names(folder)), np.uint64))

    def __len__(self) -> int:
        return len(self.digests)

    def __contains__(self, name: str) -> bool:
        place = np.searchsorted(self.digests, wanted := _digest(name))
        return place < len(self.digests) and self.digests[place] == wanted


def _names(folder: Path) -> Iterator[str]:
    yield from (str(row["path"]) for row in read_lines(folder))
    yield from (item.name for item in read_rejected(folder))


def _digest(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()))


def _csv_line(cells: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _drop_torn_line(path: Path) -> None:
    """Cut off what stands behind the last line's end: a process was killed while it wrote that."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = file.seek(0, io.SEEK_END)
        while end:
            start = max(0, end - 4096)
            file.seek(start)
            if (newline := file.read(end - start).rfind(b"\n")) >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
