"""How long a training is: its epochs, and more of them where photographs are few."""

import math
from pathlib import Path
from typing import Any

from defectdistill.data.packed import masked_in
from defectdistill.data.samplers import TRAINED_TOGETHER, batches_of

PHOTOGRAPHS, DRAWN = 700, 300  # steps by `auto`: to learn what a teacher knows; to see that all runs


def lengthened(settings: dict[str, Any], train: Path, *, synthetic: bool, masked_only: bool = False) -> dict[str, Any]:
    """Return `settings`, section `teacher` or `student` of params.yaml, with the `epochs` that are trained.

    They are as many as given, or as many more as make `min_steps` optimiser steps with the images in the folder
    `train`; with `masked_only` those without a mask do not count. 'auto' is 700 steps, and 300 where all images are
    `synthetic`: they only show that a pipeline works. `patience` grows in proportion (rounded up): one that never
    stopped the epochs as given must not stop the longer training before it has made its steps.
    """
    masked, given, patience = masked_in(train), settings["epochs"], settings["patience"]
    rows = int(masked.sum()) if masked_only else len(masked)
    steps = max(1, batches_of(rows, settings["batch_size"], TRAINED_TOGETHER))
    least = settings["min_steps"]
    if least == "auto":
        least = DRAWN if synthetic else PHOTOGRAPHS
    epochs = max(given, math.ceil(least / steps))
    return settings | {"epochs": epochs, "patience": patience and math.ceil(patience * epochs / given)}
