"""How long a training is: its epochs, and more of them where photographs are few."""

import math
from pathlib import Path
from typing import Any

from defectdistill.data.packed import masked_in


def lengthened(settings: dict[str, Any], train: Path, masked_only: bool = False) -> dict[str, Any]:
    """Return `settings`, section `teacher` or `student` of params.yaml, with the `epochs` that are trained.

    They are as many as given, or as many more as make `min_steps` optimiser steps with the images in the folder
    `train`; with `masked_only` those without a mask do not count.
    """
    masked = masked_in(train)
    whole, rest = divmod(int(masked.sum()) if masked_only else len(masked), settings["batch_size"])
    steps = whole + (rest > 1)  # in an epoch: batch norm wants two images, so a last single one is left out
    return settings | {"epochs": max(settings["epochs"], math.ceil(settings["min_steps"] / max(steps, 1)))}
