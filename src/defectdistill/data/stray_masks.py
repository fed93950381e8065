"""Finds masks among photographs, where their names and folders do not tell: by what they show."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from defectdistill.data.mask_image import MASK_COLOURS
from defectdistill.data.sample import Rejected

MANY = 0.1  # of all images: so many that look like masks are masks, one or two may be a drawing among photographs

Row = Mapping[str, Any]


def without_masks(rows: Sequence[Row], rejected: Sequence[Rejected]) -> tuple[list[Row], list[Rejected]]:
    """Return the rows that are photographs, and the rejected with those that look like masks, where others do not.

    `rows` have `name`, `label`, `mask` (None without one), `width`, `height`, `colours`, counted up to one more than
    `MASK_COLOURS`, and `seems`, as `mask_image.seems_mask`. A mask has 2 to `MASK_COLOURS` colours; or it seems to be
    one and has none, and its name is that of a photograph of its class and size, or begins with it (`x.png` in another
    folder, `xMask.png`).
    """
    few = [1 < row["colours"] <= MASK_COLOURS for row in rows]  # what is blank is no mask
    if all(row["colours"] <= MASK_COLOURS for row in rows):
        return list(rows), list(rejected)
    others = _stems(row for row, drawn in zip(rows, few, strict=True) if not (drawn or row["seems"]))
    photographs, named = [], []
    for row, drawn in zip(rows, few, strict=True):
        owned = (drawn or (row["seems"] and row["mask"] is None)) and _begins(row, others)
        if not (drawn or owned):
            photographs.append(row)
            continue
        shows = f"has {row['colours']} colours" if drawn else "is nearly all black or white"
        reason = (
            f"{shows}, a mask and no photograph like the others; put masks into a folder called masks, or beside their "
            "photograph as NAME_mask"
        )
        named.append(Rejected(row["name"], reason, owned or sum(few) >= MANY * len(rows)))
    return photographs, [*rejected, *named]


def _kind(row: Row) -> tuple:
    """Return what a mask and its photograph have in common: numbers begin anew in the folder of each class."""
    return row["label"], row["width"], row["height"]


def _stems(rows: Iterable[Row]) -> dict[tuple, set[str]]:
    """Return by their kind the names of photographs, without folder and ending."""
    stems: dict[tuple, set[str]] = {}
    for row in rows:
        stems.setdefault(_kind(row), set()).add(PurePosixPath(row["name"]).stem)
    return stems


def _begins(row: Row, stems: Mapping[tuple, set[str]]) -> bool:
    """Tell whether a row has the name of a photograph of its kind, or one that begins so and goes on with no digit."""
    own, known = PurePosixPath(row["name"]).stem, stems.get(_kind(row), set())
    return any(own[:end] in known for end in range(len(own), 0, -1) if not own[end : end + 1].isdigit())
