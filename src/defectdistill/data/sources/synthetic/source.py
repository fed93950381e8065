"""The embedded default data set: synthetic photographs of copper conductors with melt marks of three causes.

Classes and counts follow the cable paper (section 2.1). Nothing here is a photograph; whatever reports on it must say
"synthetic".
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.random import SeedSequence, default_rng

from defectdistill.data.errors import DataError
from defectdistill.data.sample import Sample
from defectdistill.data.sources.synthetic.scene import draw
from defectdistill.data.sources.synthetic.traits import CAUSES, FIRE_INDUCED, FLAME, SHORT_CIRCUIT

DRAWN = True  # by a program: every page and picture says so

MASK_COLOURS = {SHORT_CIRCUIT: (255, 0, 0), FIRE_INDUCED: (0, 255, 0), FLAME: (0, 0, 255)}
"""RGB in which the melt mark of each class is drawn in its mask, on black; `scene.draw` says what belongs to it."""

_UNLABELLED = len(CAUSES)  # the stream of the unlabelled images; 0..2 are those of the causes
_SHARES = np.array([32, 29, 55]) / 116  # the paper's; how often an unlabelled image shows each cause


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()


def _labelled(seed: int, size: int, cause: str, number: int) -> Sample:
    picture, melt = draw(SeedSequence([seed, CAUSES.index(cause), number]), cause, size, usual_light=True)
    mask = melt[..., None] * np.uint8(MASK_COLOURS[cause])
    return Sample(f"{cause}/{cause}_{number:03d}.png", cause, _png(picture), _png(mask))


def _unlabelled(seed: int, size: int, number: int) -> Sample:
    hidden, seeds = SeedSequence([seed, _UNLABELLED, number]).spawn(2)
    cause = CAUSES[default_rng(hidden).choice(len(CAUSES), p=_SHARES)]
    picture, _ = draw(seeds, cause, size, usual_light=False)
    return Sample(f"unlabelled/{number:03d}.png", None, _png(picture))


def samples(
    path: Path,
    seed: int,
    image_size: int,
    short_circuit: int,
    fire_induced_short_circuit: int,
    flame: int,
    unlabelled: int,
) -> Iterator[Sample]:
    """Yield the labelled images class by class, then the unlabelled ones; images and masks are PNG bytes.

    `image_size`: pixels a side, from 64. `short_circuit`, `fire_induced_short_circuit`, `flame`, `unlabelled`: how many
    of each; every image has a seed of its own, so a count changes no other image. An unlabelled image shows one of the
    causes, drawn at random and told nowhere, under other light. `path` is not read: nothing comes from a file. Every
    image shows another object (group None). Raises DataError for a smaller size.
    """
    if image_size < 64:
        raise DataError(
            f"image_size = {image_size}: a melt mark is not to be recognised below 64 pixels; set 64 or more"
        )
    for cause, count in zip(CAUSES, (short_circuit, fire_induced_short_circuit, flame), strict=True):
        for number in range(count):
            yield _labelled(seed, image_size, cause, number)
    for number in range(unlabelled):
        yield _unlabelled(seed, image_size, number)
