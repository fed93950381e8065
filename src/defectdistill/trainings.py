"""The trainings that a table takes together, from their folders in rows/: they differ in nothing but their seeds.

DVC leaves what a matrix made when an item is taken away from it, so that a folder there may be of an earlier setting.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from defectdistill.data.errors import DataError
from defectdistill.data.tables import read_json
from defectdistill.params import PARAMS, load_params
from defectdistill.places import PHOTOGRAPHS

ROWS = Path("rows")
SEED, SPLIT = ("student.seed",), ("student.seed", "prepare.seed")  # in what trainings may differ, also over splits
DATA = ("ingest", "prepare", "augment", "compute")
LEARNED_BY = {  # name of a model's folder: the sections of params.yaml that say how it came about
    "teacher": (*DATA, "teacher"),
    "baseline": (*DATA, "student"),
    "student": (*DATA, "teacher", "freeze", "student", "distill"),
}
SHOWN = 3  # keys that an error names


def rows_of(rows: Iterable[str]) -> dict[str, list[Path]]:
    """Return the folders of each row's trainings, by seed; raises DataError as `trainings_of`, and where two rows have
    other seeds: they are compared seed by seed.
    """
    found = {row: trainings_of(row) for row in rows}
    seeds = {row: [folder.name.removeprefix(f"{row}-") for folder in folders] for row, folders in found.items()}
    first, *others = seeds
    for row in others:
        if seeds[row] != seeds[first]:
            raise DataError(
                f"row {first} was trained with seeds {', '.join(seeds[first])}, row {row} with "
                f"{', '.join(seeds[row])}: train the missing ones, or remove the folders {ROWS}/ROW-SEED of the others"
            )
    return found


def trainings_of(row: str, apart: Sequence[str] = SEED) -> list[Path]:
    """Return the folders rows/ROW-NUMBER, or …-NUMBER-NUMBER, of a row's students in the order of their numbers.

    Raises DataError where there is none, and as `require_alike`.
    """
    numbers = {
        folder: [int(number) for number in found[1].split("-")]
        for folder in ROWS.glob(f"{row}-*")
        if (found := re.fullmatch(r"(\d+(?:-\d+)*)", folder.name.removeprefix(f"{row}-")))
    }
    if not numbers:
        raise DataError(f"no training of the row {row!r} in {ROWS.absolute()}: train it first (dvc repro)")
    folders = sorted(numbers, key=lambda folder: numbers[folder])
    require_alike(folders, "student", apart)
    return folders


def require_alike(folders: Sequence[Path], model: str, apart: Sequence[str] = SEED) -> None:
    """Raise DataError where the trainings in `folders`, one params.yaml each, differ in what makes a `model` (teacher,
    baseline or student), but for the keys `apart`.
    """
    if len(folders) < 2:
        return
    sections = tuple(f"{name}." for name in LEARNED_BY[model])
    used = [
        {name: value for name, value in load_params(folder / PARAMS).in_use().items() if name.startswith(sections)}
        for folder in folders
    ]
    names = [name for name in dict.fromkeys(name for values in used for name in values) if name not in apart]
    different = [name for name in names if any(values.get(name) != used[0].get(name) for values in used)]
    if different:
        said = [told(name, [values.get(name) for values in used], folders) for name in different[:SHOWN]]
        more = f"; and {len(different) - SHOWN} more" * (len(different) > SHOWN)
        raise DataError(mixed("were trained with other parameters", "; ".join(said) + more))


def splits_of(arms: Iterable[str]) -> dict[str, dict[int, Path]]:
    """Return the folder of each split in each of the folders `arms`, by number: each holds data/prepared and a teacher.

    Raises DataError where splits were made of other photographs or masks, and as `require_alike`.
    """
    found = {
        arm: {int(path.parents[1].name): path.parents[1] for path in sorted(Path(arm).glob("*/data/prepared"))}
        for arm in dict.fromkeys(arms)
    }
    for splits in found.values():
        require_alike(list(splits.values()), "teacher", SPLIT)
    require_same_photographs([split for splits in found.values() for split in splits.values()])
    return found


def require_same_photographs(splits: Sequence[Path]) -> None:
    """Raise DataError where the photographs in the folders of splits were divided from other ones."""
    files = [split / "data/prepared" / PHOTOGRAPHS for split in splits]
    digests = [read_json(file)["sha256"][:12] if file.exists() else None for file in files]
    if len(set(digests)) > 1:
        raise DataError(mixed("saw other photographs", told("sha256", digests, splits)))


def told(name: str, values: Sequence[Any], folders: Sequence[Path]) -> str:
    """Return who has which value: `student.epochs = 30 in rows/a-0, rows/a-2; 12 in rows/a-1`."""
    having: dict[str, list[str]] = {}
    for value, folder in zip(values, folders, strict=True):
        having.setdefault("no value" if value is None else str(value), []).append(str(folder))
    return f"{name} = " + "; ".join(f"{value} in {', '.join(where)}" for value, where in having.items())


def mixed(words: str, found: str) -> str:
    """Return the message for trainings that do not belong together."""
    return (
        f"trainings that the table takes together {words}: {found}. Remove the folders of the earlier setting, which "
        "DVC leaves when an item of a matrix is taken away, or train them again (dvc repro -f)"
    )
