"""Brings photographs and label maps of any size to one square size, in NumPy and OpenCV alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

MODES = ("squash", "pad")
OBLONG = 1.25  # times as long as wide: from here on a turn by 90° shows what no photograph does

# The ImageNet mean in 0…255: a padded border is close to zero after normalisation.
PAD_COLOUR = (124, 116, 104)

# Where a defect covers this share of a pixel of a shrunk label map, the pixel belongs to it.
SMALLEST_COVERAGE = 0.25


def content_box(height: int, width: int, size: int, mode: str) -> tuple[slice, slice]:
    """Return the rows and columns of the (size, size) result that show the image; all of it for `squash`."""
    if mode == "squash":
        return slice(0, size), slice(0, size)
    if mode != "pad":
        raise ValueError(f"resize mode {mode!r} is unknown; use one of {', '.join(MODES)}")
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top, left = (size - rows) // 2, (size - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def resize(image: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Resize uint8 RGB (height, width, 3) to (size, size, 3); `squash` ignores the aspect ratio, `pad` keeps it.

    Each axis is averaged over the area where it shrinks and interpolated linearly where it grows. `pad` centres the
    image on a border of the ImageNet mean. Raises ValueError for another mode.
    """
    box = content_box(*image.shape[:2], size, mode)
    result = np.full((size, size, 3), PAD_COLOUR, np.uint8)
    result[box] = scale(image, *_extent(box))
    return result


def square(image: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Return a photograph as every network is shown it: uint8 RGB (height, width, 3) → uint8 (size, size, 3).

    As `resize` does it; an image of the right size comes back as it is. Raises ValueError for what is no photograph.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image of {image.dtype} {image.shape}: expected uint8 (H, W, 3) in RGB order")
    if image.shape[:2] == (size, size):
        return np.ascontiguousarray(image)
    return resize(image, size, mode)


def without_border(image: np.ndarray) -> np.ndarray:
    """Return the part of a resized image, uint8 RGB (H,W,3), that shows the photograph: what `pad` added is cut off.

    The border is known by its colour alone; an image of nothing but that colour is returned as it is.
    """
    shown = (image != PAD_COLOUR).any(axis=2)
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else image


def resize_mask(label_map: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Resize a uint8 label map (height, width), 0 = background, to (size, size) as `resize` does its image.

    By coverage, not by nearest neighbour, which breaks thin cracks into dots: a pixel is foreground where labels cover
    at least a quarter of it (half of it where both axes grow), and takes the label that covers most. A label that would
    vanish altogether keeps the pixel that it covers most, of those that are not another label's last. The price is that
    edges grow by a quarter of a pixel: cracks of magnetic tiles at 128 px stayed in one piece (1.02 pieces each, 1.33
    at half and 1.30 by nearest neighbour), and their area grew by a third.
    """
    box = content_box(*label_map.shape, size, mode)
    rows, columns = _extent(box)
    result = np.zeros((size, size), np.uint8)
    labels = [int(label) for label in np.unique(label_map) if label]
    if not labels:
        return result
    grows = rows >= label_map.shape[0] and columns >= label_map.shape[1]
    # (L,rows,columns), each in 0…1
    coverage = np.stack([scale((label_map == label).astype(np.float32), rows, columns) for label in labels])
    # 1e-6: a coverage of exactly a quarter must not depend on the rounding of float32.
    foreground = coverage.sum(axis=0) >= (0.5 if grows else SMALLEST_COVERAGE) - 1e-6
    content = np.where(foreground, np.array(labels, np.uint8)[coverage.argmax(axis=0)], 0).astype(np.uint8)
    for label, share in zip(labels, coverage, strict=True):
        if not (content == label).any():
            content[_room(content, share)] = label
    result[box] = content
    return result


def _room(content: np.ndarray, share: np.ndarray) -> tuple[np.intp, ...]:
    """Return where a label that covers `share` of each pixel and has none of `content` gets one, nearest to its own."""
    counts = np.bincount(content.ravel(), minlength=256)
    rows, columns = np.indices(share.shape)
    row, column = np.unravel_index(share.argmax(), share.shape)
    taken = (content > 0) & (counts[content] == 1)
    order = np.lexsort((((rows - row) ** 2 + (columns - column) ** 2).ravel(), -share.ravel(), taken.ravel()))
    return np.unravel_index(order[0], share.shape)


def _extent(box: tuple[slice, slice]) -> tuple[int, int]:
    return box[0].stop - box[0].start, box[1].stop - box[1].start


def scale(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resize (height, width) or (height, width, C) to `rows` and `columns`, as `resize` does its image."""
    # Two steps, because OpenCV's area interpolation averages only if no axis grows.
    height, width = array.shape[:2]
    if rows < height or columns < width:
        array = cv2.resize(array, (min(columns, width), min(rows, height)), interpolation=cv2.INTER_AREA)
    if array.shape[:2] != (rows, columns):
        array = cv2.resize(array, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return array


def aspect(rows: Sequence[Mapping[str, str]]) -> float:
    """Return how many times as long as wide the median photograph is, or as wide as long: 1 for a square."""
    sides = np.array([[row["width"], row["height"]] for row in rows], float)
    return round(float(np.median(sides.max(axis=1) / sides.min(axis=1))), 2)


def shape_message(summary: Mapping[str, Any]) -> str:
    """Return in words that summary.json tells of photographs whose shape is not kept; '' where it is, or nearly."""
    if summary["resize"] != "squash" or summary["aspect"] < OBLONG:
        return ""
    return (
        f"WARNING: half of the photographs are {summary['aspect']} times as long as wide, or more, or as wide as long, "
        "and are made square (prepare.resize: squash): a copy turned by 90° to learn from is then stretched the other "
        "way. Keep their shape (prepare.resize: pad), or leave out the turns (augment.quarter_turn: 0 and "
        "student.dihedral: false)"
    )
