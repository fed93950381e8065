"""Whether 90 % means 90 %: calibration scores, and the one temperature that brings a classifier nearer to it.

Temperature scaling after Guo et al. 2017: `softmax(z / T)`, T > 0 of the least negative log-likelihood on the
validation split. It leaves the order of the classes alone, so no prediction changes. Two departures: T is bounded, and
where every validation image is right it stays 1, because the likelihood then has no maximum: it grows as T falls to 0,
and a model without a single known error would be made certain of everything.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from defectdistill.evaluation.bootstrap import ratio, weighted_mean
from defectdistill.evaluation.scores import checked
from defectdistill.probabilities import checked_probs, confidence

LOWEST, HIGHEST = 0.1, 10.0  # temperatures
FITTED, BOUNDED, SEPARATED, OFF = "fitted", "bounded", "separated", "off"
BINS = 10  # of equal width, between 0 and 1


@dataclass(frozen=True)
class Temperature:
    """A temperature, and how it was found: FITTED, BOUNDED (at an end of its range), SEPARATED or OFF (both 1)."""

    value: float
    how: str


def fit_temperature(probs: np.ndarray, labels: np.ndarray) -> Temperature:
    """Return the temperature of the least negative log-likelihood; `probs` is (N, K), `labels` int (N,).

    The likelihood has one peak: it is concave in 1/T, as long as no single image's is clipped. Raises ValueError
    without an image, or for what is no softmax.
    """
    probs, labels = checked(probs, labels, np.shape(probs)[1])
    if (probs.argmax(axis=1) == labels).all():
        return Temperature(1.0, SEPARATED)

    logits, rows = _logits(probs), np.arange(len(labels))

    def cost(logarithm: float) -> float:
        return -log_softmax(logits / np.exp(logarithm), axis=1)[rows, labels].mean()

    ends = (np.log(LOWEST), np.log(HIGHEST))
    found = float(np.exp(minimize_scalar(cost, bounds=ends, method="bounded", options={"xatol": 1e-6}).x))
    for end in (LOWEST, HIGHEST):
        if abs(np.log(found / end)) < 1e-3:
            return Temperature(end, BOUNDED)
    return Temperature(found, FITTED)


def scaled(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return `softmax(ln p / T)`, which is `softmax(z / T)` of the logits: (N, K) → float64 (N, K)."""
    return softmax(_logits(checked_probs(probs)) / temperature, axis=1)


def _logits(probs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probs, np.finfo(np.float64).tiny))


def resampled_calibration(probs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `ece` and `brier` in each resample, (R,); less is better, `weights` is (R, N).

    `ece`: the expected calibration error in [0, 1], over bins of equal width the mean of |accuracy − confidence|
    weighted by their images (Naeini et al. 2015). Few images make it too large: in a bin of one image it is at least
    the distance to 0 or 1. `brier`: the mean of Σ_k (p_k − y_k)² in [0, 2] (Brier 1950, all classes).
    """
    sure, right, bins = _binned(probs, labels)
    gaps = np.abs(weights @ (bins * (right - sure)[:, None])).sum(axis=1)
    squares = ((probs - np.eye(probs.shape[1])[labels]) ** 2).sum(axis=1)
    return {"ece": ratio(gaps, weights.sum(axis=1)), "brier": weighted_mean(squares, weights)}


def reliability(probs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return `images`, `confidence` (mean) and `accuracy` of each bin, (BINS,); NaN in a bin without an image."""
    sure, right, bins = _binned(probs, labels)
    images = bins.sum(axis=0)
    return {"images": images, "confidence": ratio(sure @ bins, images), "accuracy": ratio(right @ bins, images)}


def _binned(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each image's confidence and whether it is right, (N,), and its bin as one-hot rows (N, BINS)."""
    sure = confidence(probs)
    right = (probs.argmax(axis=1) == labels).astype(np.float64)
    place = np.digitize(sure, np.linspace(0, 1, BINS + 1)[1:-1])
    return sure, right, np.eye(BINS)[place]
