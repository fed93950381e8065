"""The four defects of the steel paper, drawn: each returns where it is and what it does to the grey levels there.

Sizes are for a strip of 128 rows and grow with it. Places, sizes, contrasts and numbers are drawn; some are faint.
"""

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.strips.surface import smooth_noise

Drawn = tuple[np.ndarray, np.ndarray]  # bool (height, width), float32 (height, width) to add


def lines(height: int, width: int, paths: list[np.ndarray], thickness: float) -> np.ndarray:
    """Return polylines of (x, y) points, anti-aliased, float32 (height, width) in 0…1."""
    canvas = np.zeros((height, width), np.uint8)
    points = [np.round(path * 16).astype(np.int32) for path in paths]  # sixteenths of a pixel
    cv2.polylines(canvas, points, False, 255, max(1, round(thickness)), cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255


def pits(rng: Generator, height: int, width: int) -> Drawn:
    """Many small dark dents close together, each with a bright rim on the side of the light."""
    unit = height / 128
    depth, glint = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    centre = rng.uniform((0.15 * width, 0.2 * height), (0.85 * width, 0.8 * height))
    spread = rng.uniform((25, 8), (70, 24)) * unit
    for place in centre + spread * rng.standard_normal((rng.integers(14, 40), 2)):
        radii = rng.uniform((3, 1.6), (7, 4)) * unit
        x, y = np.round(place * 16).astype(int)
        axes = np.round(radii * 16).astype(int)
        cv2.ellipse(depth, (int(x), int(y)), axes.tolist(), 0, 0, 360, 1.0, -1, cv2.LINE_8, 4)
        cv2.ellipse(glint, (int(x) + 16, int(y) + 16), axes.tolist(), 0, 0, 360, 1.0, -1, cv2.LINE_8, 4)
    inside = depth > 0
    soft = cv2.GaussianBlur(depth, (0, 0), 0.8)
    return inside, -rng.uniform(28, 60) * soft + 16 * np.clip(cv2.GaussianBlur(glint, (0, 0), 0.8) - soft, 0, 1)


def cracks(rng: Generator, height: int, width: int) -> Drawn:
    """Dark jagged lines across the strip, with branches."""
    unit, paths = height / 128, []
    for _ in range(rng.integers(1, 3)):
        steps = int(rng.integers(14, 30))
        down = rng.uniform(2.0, 5.0) * unit * rng.choice([-1, 1])
        walk = np.cumsum(np.stack([rng.normal(0, 3.2, steps) * unit, np.full(steps, down)], axis=1), axis=0)
        walk += (rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.5) * height if down > 0 else 0.9 * height)
        paths.append(walk)
        for _ in range(rng.integers(0, 3)):
            start, count = walk[rng.integers(2, steps)], int(rng.integers(4, 10))
            turn = np.stack([rng.normal(0, 2.0, count) + rng.choice([-4, 4]), rng.normal(0.6, 1.2, count)], axis=1)
            paths.append(start + np.cumsum(turn * unit, axis=0))
    line = lines(height, width, paths, rng.uniform(2.5, 5.0) * unit)
    return line > 0.3, -rng.uniform(30, 65) * cv2.GaussianBlur(line, (0, 0), 0.6)


def scratches(rng: Generator, height: int, width: int) -> Drawn:
    """Long straight lines, nearly along the strip, mostly bright, a few side by side."""
    unit, paths = height / 128, []
    slope, length = rng.normal(0, 0.12), rng.uniform(0.3, 0.9) * width
    left, row = rng.uniform(0, width - length), rng.uniform(0.15, 0.85) * height
    for _ in range(rng.integers(1, 5)):
        begin = left + rng.uniform(-0.1, 0.25) * length
        end = begin + rng.uniform(0.5, 1.0) * length
        paths.append(np.array([[begin, row], [end, row + slope * (end - begin)]]))
        row += rng.uniform(4, 11) * unit
    line = lines(height, width, paths, rng.uniform(1.5, 3.5) * unit)
    worn = np.clip(0.8 + 0.35 * smooth_noise(rng, height, width, 2.0, 12.0), 0.25, 1.2)
    sign = 1 if rng.random() < 0.75 else -1
    return line > 0.3, sign * rng.uniform(26, 60) * cv2.GaussianBlur(line * worn, (0, 0), 0.5)


def patches(rng: Generator, height: int, width: int) -> Drawn:
    """A large, ragged, mottled area: scale that was rolled in, darker or paler than the steel."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    unit = height / 128
    place = rng.uniform((0.25 * height, 0.15 * width), (0.75 * height, 0.85 * width))
    radii = rng.uniform((18, 40), (40, 110)) * unit
    distance = ((rows - place[0]) / radii[0]) ** 2 + ((columns - place[1]) / radii[1]) ** 2
    height_map = 1 - distance + 0.45 * smooth_noise(rng, height, width, 6 * unit, 14 * unit)
    inside = height_map > 0
    shade = np.clip(3 * height_map, 0, 1)
    mottled = 1 + 0.4 * smooth_noise(rng, height, width, 1.5, 3.0)
    sign = -1 if rng.random() < 0.7 else 1
    return inside, sign * rng.uniform(18, 42) * shade * mottled


DEFECTS = {"cracks": cracks, "patches": patches, "pits": pits, "scratches": scratches}
