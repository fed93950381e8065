"""Whether a file says what torch says: on images as the network sees them, and on photographs at their full size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from defectdistill.data.images import decode_image
from defectdistill.export.runtimes import Classify
from defectdistill.predict import Predictor

BATCH = 32
# Of a probability. Sums in another order differ by 1e-6; a missing step, say a temperature, by far more than this.
TOLERANCE = 1e-4
# A grey level more or less at the resize, where OpenCV computes in fixed point.
RESIZED_TOLERANCE = 0.05


def classify(run: Classify, images: np.ndarray, what: str) -> np.ndarray:
    """Return what `run` says of uint8 (N, S, S, 3), batch by batch, N ≥ 1: float32 (N, K)."""
    starts = tqdm(range(0, len(images), BATCH), desc=what, unit="batch", disable=None)
    return np.concatenate([run(np.ascontiguousarray(images[start : start + BATCH])) for start in starts])


def agreement(expected: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Compare probabilities (N, K): how many images, the largest difference, and the share with the same class."""
    return {
        "images": len(expected),
        "largest_difference": float(np.abs(found.astype(np.float64) - expected).max()),
        "class_agreement": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
    }


@dataclass(frozen=True)
class Reference:
    """What torch says, asked once for all files: probabilities (N, K) of the test split and of photographs (M, K)."""

    test: np.ndarray
    photographs: np.ndarray

    @classmethod
    def of(cls, predictor: Predictor, test: np.ndarray, paths: Sequence[Path]) -> "Reference":
        """Ask a predictor of prepared images, uint8 (N, S, S, 3), and of photographs as they lie on disk."""
        files = tqdm(paths, desc="torch, photographs", unit="photograph", disable=None)
        each = [predictor([decode_image(path.read_bytes())]).probabilities for path in files]
        return cls(
            predictor(test).probabilities, np.concatenate(each) if each else np.empty((0, len(predictor.classes)))
        )


def photographs_agreement(
    expected: np.ndarray, runs: Mapping[str, Classify], paths: Sequence[Path]
) -> dict[str, dict[str, Any]]:
    """Compare, by runtime, on photographs as they lie on disk: OpenCV's resize against the one inside the graph.

    `expected` are torch's probabilities (M, K) of them. Without a photograph, as in a test split of augmented copies
    alone, the result is empty.
    """
    found = {name: [] for name in runs}
    for path in tqdm(paths, desc="photographs", unit="photograph", disable=None):
        photograph = decode_image(path.read_bytes())
        for name, run in runs.items():
            found[name].append(run(photograph[None])[0])
    return {name: agreement(expected, np.stack(probs)) for name, probs in found.items() if probs}


def check(found: Mapping[str, Mapping[str, Any]], tolerance: float, what: str) -> None:
    """Raise ValueError naming the first runtime whose probabilities differ from torch's by more than `tolerance`."""
    for name, each in found.items():
        if not each["largest_difference"] <= tolerance:  # so that NaN is refused too
            raise ValueError(
                f"{name} differs from torch by {each['largest_difference']:.2g} in a probability of {what} "
                f"({each['images']} compared), expected at most {tolerance}: this file must not be used; another "
                "version of torch, onnxruntime or openvino may be at fault (constraints.txt has those that work)"
            )
