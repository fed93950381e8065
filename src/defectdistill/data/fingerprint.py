"""What a photograph is recognised by when it comes again: its fine structure in 64 × 64 pixels, and a hash of that.

The hash is the perceptual one of low cosine frequencies (pHash: Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010) with three changes. It is kept as numbers and not cut down to signs: correlations of
numbers cost one matrix product, and leave far fewer pairs to look at. It is made of the fine structure, since surfaces
under one lamp share their light. And the eight ways to turn and mirror a picture are signs and transposes of it.
"""

import cv2
import numpy as np

from defectdistill.data.preprocess import scale, without_border

SIZE = 64  # pixels a side
NEIGHBOURHOOD = 6.0  # pixels, sigma: coarser structure is light, and a pixel's contrast is measured against this
LEAST_DETAIL = 1.0  # grey levels: the noise of a smooth surface that is left in SIZE × SIZE pixels
FREQUENCIES = 14  # cosines an axis in the hash
TRIMMED = 0.03  # of each side: between this and the whole lie copies that were cropped

# What the second photograph is to the first where `turned(second, turn)` looks like the first.
TURNS = (
    "same way up", "mirrored left to right", "mirrored top to bottom", "turned by 180°",
    "mirrored and turned by 90°", "turned by 90° to the left", "turned by 90° to the right",
    "mirrored and turned by 90°",
)  # fmt: skip
INVERSE = np.array([0, 1, 2, 3, 4, 6, 5, 7], np.uint8)  # the turn that undoes each


def _light() -> np.ndarray:
    """Return an orthonormal basis (SIZE², 6) of quadratic surfaces."""
    rows, columns = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j].reshape(2, -1)
    terms = [np.ones_like(rows), rows, columns, rows**2, columns**2, rows * columns]
    return np.linalg.qr(np.stack(terms, axis=1))[0].astype(np.float32)


def _cosines(trimmed: float) -> np.ndarray:
    """Return (FREQUENCIES, SIZE): the cosine transform of a line of which the share `trimmed` is cut off each end."""
    places = (np.arange(SIZE) + 0.5) / SIZE
    resample = np.stack(
        [np.interp(trimmed + (1 - 2 * trimmed) * places, places, unit) for unit in np.eye(SIZE)], axis=1
    )
    return (np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * places) @ resample).astype(np.float32)


_LIGHT = _light()
_TRANSFORMS = (_cosines(0.0), _cosines(TRIMMED))
_SIGNS = np.where(np.arange(FREQUENCIES) % 2, np.float32(-1), np.float32(1))


def fingerprint(image: np.ndarray) -> np.ndarray:
    """Return the fine structure of a photograph, uint8 RGB (H,W,3) → float16 (SIZE,SIZE), squashed to a square.

    Grey; light (a quadratic surface, and what is coarser than `NEIGHBOURHOOD`) taken off, and divided by the contrast
    around each pixel, so that one bright scratch does not count for more than the surface beside it. Brightness and
    contrast of the whole drop out. All zeros where there is less than `LEAST_DETAIL` to recognise it by.
    """
    grey = cv2.cvtColor(np.ascontiguousarray(without_border(image)), cv2.COLOR_RGB2GRAY).astype(np.float32)
    flat = scale(grey, SIZE, SIZE).reshape(-1)
    detail = (flat - _LIGHT @ (_LIGHT.T @ flat)).reshape(SIZE, SIZE)
    detail -= cv2.GaussianBlur(detail, (0, 0), NEIGHBOURHOOD)
    power = detail * detail
    overall = float(np.sqrt(power.mean()))
    if overall < LEAST_DETAIL:
        return np.zeros((SIZE, SIZE), np.float16)
    around = np.sqrt(cv2.GaussianBlur(power, (0, 0), NEIGHBOURHOOD))
    return (detail / (around + 0.1 * overall + 0.2)).astype(np.float16)


def hashes(fingerprints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two hashes of each fingerprint, of the whole and of the trimmed picture: (N,SIZE,SIZE) → 2 × (N,K).

    float32 of length 1 (0 where the fingerprint is), so that a scalar product is a correlation.
    """
    coarse = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]) < 2  # what light there is left
    results = [np.empty((len(fingerprints), FREQUENCIES**2), np.float32) for _ in _TRANSFORMS]
    for start in range(0, len(fingerprints), 512):
        block = fingerprints[start : start + 512].astype(np.float32)
        for cosines, result in zip(_TRANSFORMS, results, strict=True):
            values = cosines @ block @ cosines.T  # (512,F,S) @ (S,F) → (512,F,F)
            values[:, coarse] = 0
            values = values.reshape(len(block), -1)
            result[start : start + 512] = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    return results[0], results[1]


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Return a picture (H,W) turned or mirrored, `turn` 0…7: the opposite of `TURNS`."""
    image = image.T if turn & 4 else image
    image = image[::-1] if turn & 2 else image
    return np.ascontiguousarray(image[:, ::-1] if turn & 1 else image)


def turned_hashes(values: np.ndarray, turn: int) -> np.ndarray:
    """Return the hashes (N,K) of the pictures as `turned` would return them."""
    grid = values.reshape(-1, FREQUENCIES, FREQUENCIES)
    grid = grid.transpose(0, 2, 1) if turn & 4 else grid
    grid = grid * _SIGNS[:, None] if turn & 2 else grid
    return (grid * _SIGNS if turn & 1 else grid).reshape(values.shape)
