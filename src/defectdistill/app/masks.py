"""Masks to be drawn on the page: proposals of the threshold and of the teacher, and what came back from the brush.

Drawing happens on a copy of at most WORKING_SIDE pixels a side; up to that size what is drawn is saved pixel by pixel,
larger originals get it enlarged.
"""

import base64
import binascii

import cv2
import numpy as np

from defectdistill.app.loaded import Loaded
from defectdistill.app.looking import thumbnail
from defectdistill.data.images import BadImage, open_image
from defectdistill.data.preprocess import content_box, scale
from defectdistill.data.threshold_mask import threshold_mask

WORKING_SIDE = 1024  # pixels
OPAQUE = 128  # of 255: from here on a pixel counts as drawn
THRESHOLD, TEACHER, EMPTY = "threshold", "teacher", "empty"


def working_copy(image: np.ndarray) -> np.ndarray:
    """Return what is drawn on, uint8 RGB of at most WORKING_SIDE pixels a side; a smaller image as it is."""
    return thumbnail(image, WORKING_SIDE)


def propose(kind: str, image: np.ndarray, loaded: Loaded) -> np.ndarray:
    """Return a mask to begin with, bool, in the size of `working_copy`; `image` is the original, uint8 RGB (H, W, 3).

    The threshold is taken at the size that the classifier sees, in whose pixels its block and smallest area are given.
    Raises ValueError for a teacher that is not there, and for another kind.
    """
    height, width = working_copy(image).shape[:2]
    if kind == EMPTY:
        return np.zeros((height, width), bool)
    if kind == THRESHOLD:
        predictor = loaded.assessors["student"].predictor
        box = content_box(*image.shape[:2], predictor.size, predictor.resize_mode)
        found = threshold_mask(np.ascontiguousarray(predictor.preprocess(image)[box]))
        return scale(found.astype(np.float32), height, width) >= 0.5
    if kind != TEACHER:
        raise ValueError(f"{kind!r}: expected {THRESHOLD}, {TEACHER} or {EMPTY}")
    if loaded.teacher is None:
        raise ValueError("there is no teacher here that could propose a mask")
    with loaded.asking:
        return loaded.teacher.defect(image, height, width)


def to_address(mask: np.ndarray) -> str:
    """Return a mask, bool (h, w), as a PNG in a data address: opaque where it is true, else transparent."""
    rgba = np.where(mask[..., None], np.uint8(255), np.uint8(0)).repeat(4, axis=2)
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", rgba)[1]).decode()


def from_address(address: str, image: np.ndarray) -> np.ndarray:
    """Return what was drawn on the working copy of `image` at the original's size, bool (H, W).

    `address` is a PNG with transparency in a data address, as the browser makes it. Raises ValueError for anything
    else, and for another size.
    """
    expected = working_copy(image).shape[:2]
    start, _, encoded = address.partition(",")
    try:
        if start != "data:image/png;base64":
            raise BadImage(f"it begins with {start[:30]!r}")
        drawn = open_image(base64.b64decode(encoded, validate=True), expected[0] * expected[1])
    except (BadImage, binascii.Error) as error:
        raise ValueError(f"the drawing cannot be read ({error}); open the photograph again") from error
    alpha = np.array(drawn.convert("RGBA"))[..., 3]
    if alpha.shape != expected:
        raise ValueError(f"the drawing is {alpha.shape}, expected {expected}; open the photograph again")
    mask = (alpha >= OPAQUE).astype(np.uint8)
    height, width = image.shape[:2]
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
