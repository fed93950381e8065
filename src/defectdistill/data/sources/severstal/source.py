"""The Severstal steel set in its public form: a folder of images and `train.csv` with run-length masks.

Every image that has a defect is labelled with the class that covers most of it: a split must keep the classes' shares,
and an image may show several. Images without a defect are left out, as the steel paper does, or are a class of their
own (`good`).
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.images import BadImage, decode_image
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.sources.folder.walk import leads_out
from defectdistill.data.sources.severstal.run_lengths import Runs, decode_runs, read_runs

DRAWN = False  # photographs

CLASSES = ("pits", "cracks", "scratches", "patches")  # of the numbers 1 to 4, after the steel paper
GOOD = "good"
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def samples(path: Path, table: str, images: str, good: bool) -> Iterator[Sample | Rejected]:
    """Yield the images with their label and label map, in order of name, and what is left out with the reason.

    `path` holds the file `table` and the folder `images`; with `good` images without a defect are the class `good`.
    Masks are PNG of ids, 1 + the place of the class among all classes in order of name; where defects overlap, the
    smaller one lies on top. Raises `DataError` where the folder or the table cannot be used.
    """
    folder = path / images
    if not folder.is_dir():
        raise DataError(f"there is no folder {str(folder)!r} of images; give its name by ingest.severstal.images")
    if leads_out(folder, path) or leads_out(path / table, path):
        raise DataError(f"{images!r} or {table!r} leads out of {path}; copy both into that folder")
    runs = read_runs(path / table, len(CLASSES))
    files = {file.name: file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES}
    for name in sorted(set(runs) - set(files)):
        if runs[name]:
            yield Rejected(name, f"it stands in {table}, but is not in {images}; add it, or take its rows out")
    used = {name: runs.get(name, {}) for name in sorted(files) if runs.get(name) or good}
    classes = classes_of(used, table)
    for name, of_image in used.items():
        yield sample_of(files[name], of_image, classes, path)


def classes_of(runs: Runs, table: str) -> list[str]:
    """Return the labels of these images in order of name; raises `DataError` for a class that is none of them."""
    labels = {label_of(of_image) for of_image in runs.values()}
    marked = {CLASSES[number - 1] for of_image in runs.values() for number in of_image}
    if marked - labels:
        raise DataError(
            f"{table} marks {', '.join(sorted(marked - labels))}, but no image shows mostly that: there is no class to "
            "divide by; add such images, or take these rows out"
        )
    return sorted(labels)


def label_of(runs: dict[int, str]) -> str:
    """Return the class that covers most of an image: the one whose run lengths add up to most."""
    if not runs:
        return GOOD
    return CLASSES[min(runs, key=lambda number: (-covered(runs[number]), number)) - 1]


def covered(text: str) -> int:
    """Return how many pixels run lengths cover; what is no number counts as none, and is refused later."""
    return sum(int(length) for length in text.split()[1::2] if length.isdigit())


def sample_of(file: Path, runs: dict[int, str], classes: list[str], root: Path) -> Sample | Rejected:
    """Return an image with its label map; a reason where its run lengths do not fit it."""
    if leads_out(file, root):
        return Rejected(file.name, f"a link that leads out of {root}; copy the file into that folder")
    if not runs:
        return Sample(file.name, GOOD, file)
    try:
        height, width = decode_image(file.read_bytes()).shape[:2]
        areas = {number: decode_runs(text, height, width) for number, text in runs.items()}
    except BadImage as error:
        return Rejected(file.name, error.reason)
    except (ValueError, OSError) as error:
        return Rejected(file.name, str(error))
    label_map = np.zeros((height, width), np.uint8)
    for number in sorted(areas, key=lambda number: (-areas[number].sum(), number)):
        label_map[areas[number]] = 1 + classes.index(CLASSES[number - 1])
    return Sample(file.name, label_of(runs), file, cv2.imencode(".png", label_map)[1].tobytes())
