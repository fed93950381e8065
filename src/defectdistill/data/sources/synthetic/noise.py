"""Smooth random fields from which textures, wear and outlines are drawn; a field does not depend on the raster's size.

A field is drawn on a lattice of cells and enlarged by cubic interpolation, so the same seed gives the same picture,
finer or coarser.
"""

import cv2
import numpy as np
from numpy.random import Generator


def field(rng: Generator, cells: tuple[float, float], shape: tuple[int, int], octaves: int = 1) -> np.ndarray:
    """Return float32 noise of `shape` (rows, columns), mean about 0, standard deviation about 1.

    `cells` counts the lattice cells over rows and columns; each further octave has cells half as large and 0.55 of
    the weight. Unequal cells give stretched noise (wood grain, draw marks).
    """
    finest = max(count / pixels for count, pixels in zip(cells, shape, strict=True)) * 2 ** (octaves - 1)
    # Smooth fields are summed at half the size and enlarged once: half the time, no visible difference.
    drawn = tuple(-(-pixels // 2) for pixels in shape) if finest < 0.2 else shape
    total = np.zeros(drawn, np.float32)
    weight, squares = 1.0, 0.0
    for octave in range(octaves):
        lattice = [max(2, round(count * 2**octave) + 1) for count in cells]
        values = rng.standard_normal(lattice, dtype=np.float32)
        total += weight * cv2.resize(values, drawn[::-1], interpolation=cv2.INTER_CUBIC)
        squares += weight**2
        weight *= 0.55
    total *= 1.4 / squares**0.5  # interpolation takes about 0.7 of the standard deviation
    return cv2.resize(total, shape[::-1], interpolation=cv2.INTER_CUBIC) if drawn != shape else total


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, and the cubic 3t² − 2t³ between them."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a·(1 − weight) + b·weight; a weight map without channel axis is applied to every channel."""
    a, b, weight = (np.asarray(values, np.float32) for values in (a, b, weight))
    if weight.ndim == 2 and max(a.ndim, b.ndim) == 3:
        weight = cv2.merge([weight] * 3)  # several times faster than broadcasting over a last axis of 3
    return a + (b - a) * weight
