"""A small stand-in for CIFAR-10: coloured shapes, 32 × 32 pixels, ten classes, split into train and test.

Drawn by a program: it shows that a pipeline works on images of that size and form, and says nothing about photographs.
Colour, place, size, turn and background are drawn anew for each image and tell nothing; outlines do, and some are much
alike (a disc and an octagon).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from defectdistill.data.sample import Sample

DRAWN = True  # by a program: every page and picture says so

SIDE = 32
SCALE = 4  # drawn so many times larger, for smooth edges
NOISE = 12.0  # grey levels


def polygon(corners: int, inner: float = 1.0) -> Callable[[], list[np.ndarray]]:
    """Return a drawing of a regular polygon; with `inner` below 1 a star of so many rays."""

    def outline() -> list[np.ndarray]:
        count = corners if inner == 1.0 else 2 * corners
        angles = 2 * np.pi * np.arange(count) / count
        radii = np.where(np.arange(count) % 2, inner, 1.0)
        return [np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)]

    return outline


def bars(count: int) -> Callable[[], list[np.ndarray]]:
    """Return a drawing of parallel bars."""

    def outline() -> list[np.ndarray]:
        edges = np.linspace(-0.9, 0.9, 2 * count)
        return [
            np.array([[-0.9, low], [0.9, low], [0.9, high], [-0.9, high]])
            for low, high in zip(edges[::2], edges[1::2], strict=True)
        ]

    return outline


def joined(*parts: Callable[[], list[np.ndarray]], sizes: tuple[float, ...]) -> Callable[[], list[np.ndarray]]:
    """Return a drawing of several, each scaled; what is covered twice is left out."""
    return lambda: [size * outline for part, size in zip(parts, sizes, strict=True) for outline in part()]


CLASSES: dict[str, Callable[[], list[np.ndarray]]] = {
    "bars": bars(3),
    "cross": polygon(4, 0.3),
    "disc": polygon(24),
    "frame": joined(polygon(4), polygon(4), sizes=(1.0, 0.6)),
    "hexagon": polygon(6),
    "octagon": polygon(8),
    "ring": joined(polygon(24), polygon(24), sizes=(1.0, 0.6)),
    "square": polygon(4),
    "star": polygon(5, 0.45),
    "triangle": polygon(3),
}


def samples(path: Path, seed: int, train_per_class: int, test_per_class: int) -> Iterator[Sample]:
    """Yield the images class by class, those to train on first; PNG bytes, no masks.

    Every image has a seed of its own: a count changes no other image. `path` is not read.
    """
    for split, count in (("train", train_per_class), ("test", test_per_class)):
        for index, label in enumerate(CLASSES):
            for number in range(count):
                rng = default_rng(SeedSequence([seed, split == "test", index, number]))
                picture = cv2.imencode(".png", draw(CLASSES[label], rng)[..., ::-1])[1].tobytes()
                yield Sample(f"{split}/{label}/{number:05d}.png", label, picture, split=split)


def draw(shape: Callable[[], list[np.ndarray]], rng: Generator) -> np.ndarray:
    """Return a picture uint8 (32, 32, 3) RGB of a shape."""
    side = SIDE * SCALE
    size, angle = rng.uniform(0.25, 0.42) * side, rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = rng.uniform(0.45, 0.55, 2) * side
    outlines = [np.round(size * points @ turn.T + centre).astype(np.int32) for points in shape()]
    inside = np.zeros((side, side), np.uint8)
    cv2.fillPoly(inside, outlines, 1)  # what lies in two outlines is outside: holes
    ramp = np.linspace(0, 1, side)[:, None, None] * rng.uniform(-60, 60, 3)
    background, colour = rng.uniform(40, 215, 3), rng.uniform(40, 215, 3)
    while np.abs(background - colour).max() < 60:
        colour = rng.uniform(40, 215, 3)
    picture = np.where(inside[..., None] > 0, colour, background) + ramp
    small = cv2.resize(picture.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.clip(small + rng.normal(0, NOISE, small.shape), 0, 255).astype(np.uint8)
