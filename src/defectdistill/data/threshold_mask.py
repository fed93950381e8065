"""Makes a mask where nobody drew one: the cable paper's adaptive threshold, opened and cleared of small contours."""

import cv2
import numpy as np

BLOCK = 11
OFFSET = 2
SMALLEST_AREA = 100


def threshold_mask(image: np.ndarray) -> np.ndarray:
    """Return where an image is darker than its surroundings: uint8 (height, width), 1 for the mark, 0 elsewhere.

    `image` is uint8 RGB (height, width, 3). Cable paper, section Masks: adaptive Gaussian threshold (block 11, C = 2),
    morphological opening 3×3, contours of an area up to 100 px dropped. [choice] Dark is foreground, since char and
    oxide are darker than bright metal (the other polarity marks every even surface). [choice] It is meant for the image
    at the prepared size: block and area are in pixels, so that on originals of many sizes they would mean many things.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mask = cv2.adaptiveThreshold(grey, 1, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY_INV, BLOCK, OFFSET)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    small = [contour for contour in contours if cv2.contourArea(contour) <= SMALLEST_AREA]
    return cv2.drawContours(mask, small, contourIdx=-1, color=0, thickness=cv2.FILLED)
