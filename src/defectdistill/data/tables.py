"""Reads and writes the small tables and summaries beside the arrays, with the same bytes on every machine."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, one dictionary (column name → text) per row; a spreadsheet's mark is no text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_columns(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file, which may have no rows, or nothing at all: then there are none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file (UTF-8, lines end with a bare newline): a header of `columns`, then `rows` in that order."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON with sorted keys, indent 2 and a final newline; raises ValueError for NaN and infinity."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """Return the object that a JSON file of a pipeline's run holds.

    Raises FileNotFoundError or ValueError that names a missing or damaged file and says how to get it back.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro`, or get it with `dvc checkout`")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}); restore it with `dvc checkout` or `dvc repro`") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds a {type(value).__name__}, expected an object; restore it with `dvc checkout`")
    return value


def inside(folder: Path, name: str) -> Path:
    """Return the file `name` that a table or a manifest in `folder` gives relative to it.

    Raises ValueError for a name that climbs out: absolute, or with `..`. Links are followed: DVC may link what it
    brings back to its cache.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise ValueError(f"{folder} names the file {name!r}: expected a path below that folder; run `dvc repro` again")
    return folder / path


def flatten(values: dict[str, Any], prefix: str = "", separator: str = ".") -> dict[str, Any]:
    """Return {full name: leaf value} of nested dictionaries, with the names that `dvc exp run -S` takes."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}{separator}", separator)
        else:
            flat[prefix + name] = value
    return flat
