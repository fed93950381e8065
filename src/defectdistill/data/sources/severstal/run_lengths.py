"""Run-length tables of the Severstal set: which pixels of an image are which defect.

Run lengths are pairs `start length` separated by spaces, starts count from 1, and pixels are counted down each column
from the left. The public table comes in two layouts: one row an image and class (`ImageId`, `ClassId`,
`EncodedPixels`), and one row an image and *possible* class in a joined column (`ImageId_ClassId`, as in `0a.jpg_3`,
with an empty field where there is no such defect).
"""

import csv
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.tables import read_columns, read_table

Runs = dict[str, dict[int, str]]
LARGEST_FIELD = 2**27  # letters: run lengths of a large photograph are more than the 131072 that csv takes by itself
JOINED, APART, PIXELS = "ImageId_ClassId", ("ImageId", "ClassId"), "EncodedPixels"


def read_runs(path: Path, classes: int) -> Runs:
    """Return {image's file name: {class number from 1: run lengths}} of a table in either layout.

    Images that the table names without any defect have an empty dictionary. Raises `DataError` for what is no CSV file
    in UTF-8, a table with other columns, a class that is none of 1 … `classes`, and a row that stands twice.
    """
    if not path.is_file():
        raise DataError(f"there is no table {str(path)!r}; give its name by ingest.severstal.table")
    usual = csv.field_size_limit(LARGEST_FIELD)
    try:
        columns, rows = read_columns(path), read_table(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"ingest.severstal.table: {path.name} is no CSV file in UTF-8 ({error})") from error
    finally:
        csv.field_size_limit(usual)
    if PIXELS not in columns or not (JOINED in columns or set(APART) <= set(columns)):
        raise DataError(
            f"{path.name} has the columns {', '.join(columns) or '(none)'}; expected {PIXELS} and either {JOINED} or "
            f"{' and '.join(APART)}"
        )
    runs: Runs = defaultdict(dict)
    for number, row in enumerate(rows, start=2):
        name, _, identity = row[JOINED].rpartition("_") if JOINED in columns else (row[APART[0]], "", row[APART[1]])
        if not (re.fullmatch("[0-9]+", identity or "") and 1 <= int(identity) <= classes):
            raise DataError(f"{path.name}, line {number}: the class is {identity!r}; expected 1 to {classes}")
        of_image = runs[name]
        if not (row[PIXELS] or "").strip():
            continue
        if int(identity) in of_image:
            raise DataError(f"{path.name}, line {number}: {name} has the class {identity} a second time")
        of_image[int(identity)] = row[PIXELS]
    return dict(runs)


def decode_runs(text: str, height: int, width: int) -> np.ndarray:
    """Return the pixels that run lengths name as bool (height, width).

    Raises ValueError for what is no list of pairs of whole numbers from 1 on, and for runs that leave the image.
    """
    if not re.fullmatch(r"\s*(\d+\s+\d+(\s+\d+\s+\d+)*)?\s*", text):
        raise ValueError(f"{text[:40]!r} are no run lengths: expected pairs of whole numbers, start and length")
    pairs = np.array(text.split(), dtype=np.int64).reshape(-1, 2)
    if len(pairs) and (pairs.min() < 1 or (pairs.sum(axis=1) - 1).max() > height * width):
        raise ValueError(f"its run lengths leave the image of {width}×{height} pixels, or start before pixel 1")
    flat = np.zeros(height * width, bool)
    for start, length in pairs:
        flat[start - 1 : start - 1 + length] = True
    return flat.reshape(width, height).T
