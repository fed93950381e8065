"""A small stand-in for sets of strip steel by class: square grey tiles, four defects and good steel, unequal counts.

Drawn by a program: it shows that a pipeline works on unbalanced pictures of that form, and says nothing about
photographs. The counts to learn from are the settings' and may be as unequal as on a real strip; the test split is
balanced. Brightness, texture and light are drawn anew for each picture and tell nothing of its class; a stain on good
steel looks a little like a patch.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from defectdistill.data.sample import Sample

DRAWN = True  # by a program: every page and picture says so

SIDE = 64
GRAIN = 3.0  # grey levels, of the camera
MARKED = 6.0  # grey levels from which on a change belongs to the mask

Change = np.ndarray  # float32 (64, 64), what a defect adds in grey levels


def noise(rng: Generator, down: float, across: float) -> np.ndarray:
    """Return float32 (64, 64) of unit deviation that varies over `down` rows and `across` columns."""
    values = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), across, None, down)
    return smooth / max(float(smooth.std()), 1e-6)


def strokes(rng: Generator, paths: list[np.ndarray], width: int, depth: float) -> Change:
    """Return polylines of (x, y) points in pixels, `depth` grey levels deep."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    points = [np.round(path * 16).astype(np.int32) for path in paths]
    cv2.polylines(canvas, points, False, 255, width, cv2.LINE_AA, 4)
    return depth * cv2.GaussianBlur(canvas, (0, 0), 0.6).astype(np.float32) / 255


def good(rng: Generator) -> Change:
    """Nothing, or a stain: large, soft and faint."""
    return patch(rng, rng.uniform(4, 8)) if rng.random() < 0.4 else np.zeros((SIDE, SIDE), np.float32)


def patch(rng: Generator, depth: float) -> Change:
    """A soft spot of irregular outline."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    place, radii = rng.uniform(16, 48, 2), rng.uniform(8, 20, 2)
    distance = ((rows - place[0]) / radii[0]) ** 2 + ((columns - place[1]) / radii[1]) ** 2
    shape = np.clip(1.4 - distance + 0.35 * noise(rng, 4, 4), 0, 1)
    return rng.choice([-1, 1]) * depth * shape.astype(np.float32)


def patches(rng: Generator) -> Change:
    """Rolled-in scale: an area with an outline, clearly darker or brighter, mottled."""
    area = patch(rng, rng.uniform(14, 34))
    return area * (1 + 0.25 * noise(rng, 1.2, 1.2))


def pits(rng: Generator) -> Change:
    """Small round dents close together."""
    depth = np.zeros((SIDE, SIDE), np.float32)
    centre, spread = rng.uniform(18, 46, 2), rng.uniform(5, 12)
    for place in centre + spread * rng.standard_normal((rng.integers(6, 20), 2)):
        x, y = np.round(place * 16).astype(int)
        cv2.circle(depth, (int(x), int(y)), int(rng.uniform(16, 36)), 1.0, -1, cv2.LINE_8, 4)
    return -rng.uniform(20, 45) * cv2.GaussianBlur(depth, (0, 0), 0.7)


def scratches(rng: Generator) -> Change:
    """Straight lines side by side, bright as a rule."""
    angle, paths = rng.uniform(0, np.pi), []
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    for _ in range(rng.integers(1, 4)):
        middle = 32 + rng.uniform(-16, 16) * across + rng.uniform(-8, 8) * along
        half = rng.uniform(12, 30)
        paths.append(np.stack([middle - half * along, middle + half * along]))
    return strokes(rng, paths, 1, (1 if rng.random() < 0.7 else -1) * rng.uniform(30, 70))


def cracks(rng: Generator) -> Change:
    """Dark jagged lines."""
    paths = []
    for _ in range(rng.integers(1, 3)):
        steps, heading = int(rng.integers(8, 16)), rng.uniform(0, 2 * np.pi)
        turns = heading + np.cumsum(rng.normal(0, 0.7, steps))
        walk = np.cumsum(rng.uniform(2.5, 5) * np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0)
        paths.append(walk - walk.mean(axis=0) + rng.uniform(20, 44, 2))
    return strokes(rng, paths, 1, -rng.uniform(40, 80))


DEFECTS = {"cracks": cracks, "good": good, "patches": patches, "pits": pits, "scratches": scratches}
CLASSES = sorted(DEFECTS)


def samples(path: Path, seed: int, test_per_class: int, **counts: int) -> Iterator[Sample]:
    """Yield tiles class by class, PNG with masks, `counts` of each class to learn from and as many of each to test.

    Every tile has a seed of its own: a count changes no other tile. `path` is not read.
    """
    for split in ("train", "test"):
        for index, label in enumerate(CLASSES):
            for number in range(counts[label] if split == "train" else test_per_class):
                rng = default_rng(SeedSequence([seed, split == "test", index, number]))
                encoded = [cv2.imencode(".png", array)[1].tobytes() for array in draw(rng, label)]
                yield Sample(f"{split}/{label}/{number:05d}.png", label, *encoded, split=split)


def draw(rng: Generator, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a tile and its mask (0, or 255 where the defect is), uint8 (64, 64) each; good steel has an empty mask."""
    light = noise(rng, 30, 30) * rng.uniform(3, 10)
    texture = noise(rng, 0.7, rng.uniform(2, 6)) * rng.uniform(3, 7)
    change = DEFECTS[label](rng)
    surface = rng.uniform(85, 155) + light + texture + change + GRAIN * rng.standard_normal((SIDE, SIDE))
    marked = (np.abs(change) > MARKED) & (label != "good")
    return np.clip(surface, 0, 255).astype(np.uint8), 255 * marked.astype(np.uint8)
