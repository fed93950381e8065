"""The test images by which masks are measured: those that come with one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.data.packed import masked_in, open_array, read_index


@dataclass(frozen=True)
class MaskedImages:
    """N images uint8 (N, S, S, 3) with their `true` label maps uint8 (N, S, S), `names` and `groups` (N)."""

    images: np.ndarray
    true: np.ndarray
    names: Sequence[str]
    groups: Sequence[str]


def masked_images(folder: Path) -> MaskedImages:
    """Return the images of a split's folder that come with a mask; raises ValueError where none shows a defect."""
    index, masked = read_index(folder), masked_in(folder)
    if not masked.any():
        raise ValueError(f"{folder}: no image has a mask, so there is nothing to measure; give masks")
    images, true = (open_array(folder / f"{name}.npy")[masked] for name in ("images", "masks"))
    if not true.any():
        raise ValueError(
            f"{folder}: {len(true)} images have a mask and none shows a defect, so there is nothing to measure; give "
            "more masks, or try another prepare.seed"
        )
    rows = [index[row] for row in np.flatnonzero(masked)]
    return MaskedImages(images, true, [row["name"] for row in rows], [row["group"] for row in rows])
