"""The teacher's masks beside the true ones, as a picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from defectdistill.data.packed import evenly, masked_in, open_array
from defectdistill.evaluation.contact_sheet import contact_sheet

SHOWN, ACROSS = 12, 6


def mask_sheet(segment: Callable[[np.ndarray], np.ndarray], split: Path, path: Path, synthetic: bool) -> None:
    """Draw images of a split that have a mask with its outlines and, below, with those that were found.

    `segment` maps uint8 (N, S, S, 3) to bool (N, S, S); `split` holds images.npy, masks.npy and index.csv; `path` is
    a PNG.
    """
    images, masks = open_array(split / "images.npy"), open_array(split / "masks.npy")
    shown = evenly(np.flatnonzero(masked_in(split)), SHOWN)
    images, masks = images[shown], masks[shown]
    found = segment(images).astype(np.uint8)
    true = (masks > 0).astype(np.uint8)  # in one colour: a binary teacher names no class
    rows = []
    for start in range(0, len(images), ACROSS):
        part = slice(start, start + ACROSS)
        rows += [("true", images[part], true[part]), ("teacher's", images[part], found[part])]
    title = "Photographs of the validation split: true masks and the teacher's"
    contact_sheet(rows, ACROSS, path, title, synthetic=synthetic)
