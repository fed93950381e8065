"""No synthesizer: augmented copies are all there is."""

from pathlib import Path

import numpy as np

Sheet = list[tuple[str, np.ndarray, np.ndarray]]


def synthesize(train: Path, output: Path, classes: list[str], settings: dict) -> Sheet:
    """Leave `output` as it is; nothing to show."""
    return []
