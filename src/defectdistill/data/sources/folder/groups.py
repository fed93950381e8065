"""Reads the CSV file that says which images show the same object."""

import csv
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from defectdistill.data.components import components
from defectdistill.data.errors import DataError
from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import shown

IMAGE_COLUMNS = ("image", "name", "file", "filename", "path")
GROUP_COLUMNS = ("group", "object", "tile", "part", "specimen")


def read_groups(
    path: Path, group_column: str | None, images: Iterable[PurePosixPath]
) -> tuple[dict[PurePosixPath, str], list[Rejected]]:
    """Return image → group after a CSV file, and its rows that name no image of the folder.

    Columns (comma, semicolon or tab between them, case aside): the image's path relative to the folder, or its bare
    file name where only one image has it, in the first of `IMAGE_COLUMNS`; the group in `group_column`, if None in the
    first of `GROUP_COLUMNS`. An image without a row or with an empty cell is its own group; a warning says how many.
    Raises `DataError` for a missing file or column, for two groups of one image, for a bare name that several images
    have, and where no row names an image.
    """
    header, rows = _read_rows(path)
    columns = {name.strip().lower(): name for name in header if name}
    image_column = _pick(columns, IMAGE_COLUMNS, path, "an image column")
    group_name = _pick(
        columns, (group_column.strip().lower(),) if group_column else GROUP_COLUMNS, path,
        "the groups, name their column by ingest.folder.group_column",
    )  # fmt: skip
    known = _by_name(images)
    groups: dict[PurePosixPath, str] = {}
    rejected = []
    for line, row in enumerate(rows, start=2):
        cell, group = (row[image_column] or "").strip(), (row[group_name] or "").strip()
        image = known.get(_normal(cell))
        if image is None and _normal(cell) in known:
            raise DataError(f"row {line} of {path.name}: several images are called {cell}; give the path of each")
        if image is None:
            rejected.append(
                Rejected(shown(cell) or f"{path.name}, row {line}", f"row {line} of {path.name}: no such image")
            )
        elif group and groups.setdefault(image, group) != group:
            raise DataError(f"{path.name} puts {cell} into the groups {groups[image]!r} and {group!r}; keep one row")
    if not groups:
        raise DataError(f"no row of {path.name} gives a group to an image of the folder; paths are relative to it")
    missing = sorted(str(image) for image in set(known.values()) - {None} - set(groups))
    if missing:
        print(f"WARNING: {len(missing)} images have no group in {path.name}, first {missing[0]}", file=sys.stderr)
    return groups, rejected


def join_groups(
    named: Sequence[Mapping[PurePosixPath, str]], copies: Sequence[Sequence[PurePosixPath]]
) -> dict[PurePosixPath, str]:
    """Return image → group after several tables of groups and sets of `copies` with the same bytes.

    What hangs together is one group, under the first of its names: of two copies one is left out, which may be the one
    whose group was known. Images without a group and a copy of one with a group are not among them.
    """
    names = sorted({name for table in named for name in table.values()})
    images = sorted({image for table in named for image in table} | {image for equal in copies for image in equal})
    place = {thing: number for number, thing in enumerate([*names, *images])}
    links = [(place[image], place[name]) for table in named for image, name in table.items()]
    links += [(place[equal[0]], place[image]) for equal in copies for image in equal[1:]]
    roots = components(len(place), links)
    # Names come first: the smallest number in a part is a name's, if it has one.
    return {image: names[roots[place[image]]] for image in images if roots[place[image]] < len(names)}


def _read_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        # Spreadsheets of half of Europe write semicolons.
        delimiter = max(",;\t", key=lines[0].count) if lines else ","
        reader = csv.DictReader(lines, delimiter=delimiter)
        return list(reader.fieldnames or ()), list(reader)
    except FileNotFoundError:
        raise DataError(
            f"ingest.folder.groups: there is no {path}; give the name of a CSV file in the folder of the photographs"
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"ingest.folder.groups: {path.name} cannot be read as a CSV file in UTF-8 ({error})") from error


def _pick(columns: dict[str, str], wanted: tuple[str, ...], path: Path, purpose: str) -> str:
    for name in wanted:
        if name in columns:
            return columns[name]
    raise DataError(
        f"{path.name} has the columns {', '.join(columns.values()) or '(none)'}; none of {', '.join(wanted)} is there "
        f"for {purpose}"
    )


def _by_name(images: Iterable[PurePosixPath]) -> dict[str, PurePosixPath | None]:
    """Return path → image, and bare file name → image where that is unique, None where it is not."""
    images = list(images)
    names: dict[str, PurePosixPath | None] = {}
    for image in images:
        name = _normal(image.name)
        names[name] = None if name in names else image
    return names | {_normal(str(image)): image for image in images}


def _normal(path: str) -> str:
    # macOS splits accents from their letters in file names, spreadsheets do not.
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))
