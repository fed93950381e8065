"""The surface of a rolled steel strip without defects, grey: streaks along the strip, grain, light, stains."""

import cv2
import numpy as np
from numpy.random import Generator


def smooth_noise(rng: Generator, height: int, width: int, down: float, across: float) -> np.ndarray:
    """Return noise of mean 0 and deviation 1, float32 (height, width), that varies over `down` rows and `across`
    columns."""
    noise = cv2.GaussianBlur(rng.standard_normal((height, width)).astype(np.float32), (0, 0), across, None, down)
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)


def steel(rng: Generator, height: int, width: int) -> np.ndarray:
    """Return a surface, float32 (height, width) in grey levels: brightness, texture and light differ between images."""
    level = rng.uniform(85, 150)
    streaks = smooth_noise(rng, height, 1, rng.uniform(0.7, 2.0), 1.0) * rng.uniform(2, 7)
    wander = smooth_noise(rng, height, width, 1.2, width / 5) * rng.uniform(1, 4)
    grain = smooth_noise(rng, height, width, 0.6, rng.uniform(1.5, 5)) * rng.uniform(3, 7)
    light = smooth_noise(rng, height, width, height / 1.5, width / 4) * rng.uniform(4, 14)
    surface = level + streaks + wander + grain + light
    if rng.random() < 0.4:  # marks of the rolls, at even distances
        places = np.arange(width) / rng.uniform(40, 90) + rng.uniform()
        surface += rng.uniform(1.5, 4) * np.sin(2 * np.pi * places)
    for _ in range(rng.integers(0, 3)):  # oil and water: no defect, and what a network must not mark
        surface = stained(surface, rng)
    return surface


def stained(surface: np.ndarray, rng: Generator) -> np.ndarray:
    """Return the surface with a stain: large, soft at its edge, hardly darker or brighter."""
    height, width = surface.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    place, radii = rng.uniform((0, 0), (height, width)), rng.uniform((10, 25), (30, 80)) * height / 128
    distance = ((rows - place[0]) / radii[0]) ** 2 + ((columns - place[1]) / radii[1]) ** 2
    return surface + np.exp(-distance) * rng.choice([-1, 1]) * rng.uniform(5, 14)


def with_edge(surface: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the surface, sometimes black beside the strip's edge, and where the strip is, bool (height, width)."""
    height, width = surface.shape
    there = np.ones((height, width), bool)
    if rng.random() > 0.2:
        return surface, there
    border = rng.uniform(0.06, 0.25) * width + 1.5 * smooth_noise(rng, height, 1, 6.0, 1.0)[:, 0]
    there = np.arange(width)[None] >= border[:, None]
    there = there[:, ::-1] if rng.random() < 0.5 else there
    return np.where(there, surface, 6.0 + 2.0 * rng.standard_normal((height, width))).astype(np.float32), there
