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
    total = np.zeros(shape, np.float32)
    weight, squares = 1.0, 0.0
    for octave in range(octaves):
        lattice = [max(2, round(count * 2**octave) + 1) for count in cells]
        values = rng.standard_normal(lattice, dtype=np.float32)
        total += weight * cv2.resize(values, shape[::-1], interpolation=cv2.INTER_CUBIC)
        squares += weight**2
        weight *= 0.55
    return total * np.float32(1.4 / np.sqrt(squares))  # interpolation takes about 0.7 of the standard deviation


def smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return 0 below `low`, 1 above `high`, and the cubic 3t² − 2t³ between them."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a·(1 − weight) + b·weight; a weight map without channel axis is applied to every channel."""
    a, b, weight = (np.asarray(values, np.float32) for values in (a, b, weight))
    if max(a.ndim, b.ndim) == weight.ndim + 1 and weight.ndim:
        weight = weight[..., None]
    return a + (b - a) * weight
