"""A drawn stand-in for the Severstal steel set: wide grey pictures of strip steel with four kinds of defect.

It shows that a pipeline works on pictures of that form (1600 × 256 pixels there), and says nothing about photographs.
Every picture is labelled with its main defect, which takes turns over the classes, so that a split can keep their
shares; a part of them shows a second one, in the same mask.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from defectdistill.data.sample import Sample
from defectdistill.data.sources.strips.defects import DEFECTS
from defectdistill.data.sources.strips.surface import steel, with_edge

DRAWN = True  # by a program: every page and picture says so

CLASSES = sorted(DEFECTS)
SECOND = 0.3  # of the pictures show a second defect
NOISE = 2.0  # grey levels, of the camera
FEWEST = 40  # pixels of the main defect, at 128 rows: what lies outside of the strip is drawn again


def samples(path: Path, seed: int, images: int, image_height: int, image_width: int) -> Iterator[Sample]:
    """Yield `images` pictures with their label maps, PNG, the classes in turn; ids are 1 + the class in order of name.

    Every picture has a seed of its own: another number of images changes none of them. `path` is not read.
    """
    for number in range(images):
        rng = default_rng(SeedSequence([seed, number]))
        label = CLASSES[number % len(CLASSES)]
        picture, label_map = draw(rng, label, image_height, image_width)
        encoded = [cv2.imencode(".png", array)[1].tobytes() for array in (picture, label_map)]
        yield Sample(f"{number:05d}.png", label, *encoded)


def draw(rng: Generator, label: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture and its label map, uint8 (height, width) each; a defect that is drawn later lies on top."""
    surface, strip = with_edge(steel(rng, height, width), rng)
    label_map = np.zeros((height, width), np.uint8)
    kinds = [label]
    if rng.random() < SECOND:
        kinds.insert(0, str(rng.choice([name for name in CLASSES if name != label])))
    for kind in kinds:
        inside, change = DEFECTS[kind](rng, height, width)
        while kind == label and (inside & strip).sum() < FEWEST * (height / 128) ** 2:
            inside, change = DEFECTS[kind](rng, height, width)
        surface = surface + np.where(strip, change, 0)
        label_map[inside & strip] = 1 + CLASSES.index(kind)
    surface = surface + NOISE * rng.standard_normal((height, width))
    return np.clip(surface, 0, 255).astype(np.uint8), label_map
