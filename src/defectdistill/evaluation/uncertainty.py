"""How sure a classifier is, without labels: average confidence and average entropy (the cable paper's section 4.5).

`AC = 1/N Σ_i max_k p_ik` and `AE = −1/N Σ_i Σ_k p_ik ln p_ik`. The paper gives them in all and per class; on images
without labels "per class" can only mean the predicted class, on the test split the true class is known as well.
A low entropy says that a model is decided, not that it is right.
"""

from collections.abc import Sequence

import numpy as np

# A float16 softmax over a dozen classes misses one by about 1e-3; logits passed by mistake miss it by far more.
_SUM_TOLERANCE = 1e-2


def checked_probs(probs: np.ndarray) -> np.ndarray:
    """Return class probabilities as a float64 array (N, K), rows summing to 1.

    Raises ValueError if `probs` is not two-dimensional, has no class, is not finite, leaves [0, 1], or has a row
    whose sum is not 1 (the usual cause: logits).
    """
    probs = np.asarray(probs, dtype=np.float64)
    if probs.ndim != 2 or probs.shape[1] == 0:
        raise ValueError(f"probs has shape {probs.shape}; expected (images, classes)")
    if not np.isfinite(probs).all() or (probs < 0).any() or (probs > 1).any():
        raise ValueError(
            f"probs ranges from {probs.min()} to {probs.max()}; expected finite values in [0, 1]: apply the softmax"
        )
    sums = probs.sum(axis=1)
    if (np.abs(sums - 1) > _SUM_TOLERANCE).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(f"row {row} of probs sums to {sums[row]:.6g}; expected 1: apply the softmax over the classes")
    return probs


def confidence(probs: np.ndarray) -> np.ndarray:
    """Return each image's largest class probability: (N, K) in [0, 1] → float64 (N,) in [1/K, 1]."""
    return checked_probs(probs).max(axis=1)


def entropy(probs: np.ndarray) -> np.ndarray:
    """Return each image's entropy in nats, 0·ln 0 = 0: (N, K) in [0, 1] → float64 (N,) in [0, ln K]."""
    probs = checked_probs(probs)
    # "0 −" instead of a sign: a certain prediction has entropy 0.0, not -0.0.
    return 0.0 - (probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=1)


def average_confidence(probs: np.ndarray) -> float:
    """Return AC, the mean over images of the largest class probability: (N, K) → a number in [1/K, 1].

    Raises ValueError if there is no image.
    """
    return _mean(confidence(probs))


def average_entropy(probs: np.ndarray) -> float:
    """Return AE, the mean over images of the entropy in nats: (N, K) → a number in [0, ln K].

    Raises ValueError if there is no image.
    """
    return _mean(entropy(probs))


def per_predicted_class(probs: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return count, AC and AE of the images that are predicted as each class (the paper's Figures 4 and 5).

    `probs` is (N, K), `classes` the K names. Each class maps to `images`, `average_confidence` and
    `average_entropy`; a class that is never predicted has `images` 0 and nothing else.
    """
    probs = checked_probs(probs)
    return _per_group(probs, probs.argmax(axis=1), classes)


def per_true_class(probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return count, AC and AE of the images of each true class, in the form of `per_predicted_class`.

    `probs` is (N, K), `labels` int (N,) with values 0 … K−1, `classes` the K names.
    """
    return _per_group(checked_probs(probs), np.asarray(labels), classes)


def summary(
    probs: np.ndarray, classes: Sequence[str], labels: np.ndarray | None = None
) -> dict[str, float | dict[str, dict[str, float]]]:
    """Return `images`, AC and AE in all and, under `classes`, per class: true where `labels` is given, else predicted.

    `probs` is (N, K); without any image the averages are left out.
    """
    probs = checked_probs(probs)
    groups = per_predicted_class(probs, classes) if labels is None else per_true_class(probs, labels, classes)
    return {**_averages(probs), "classes": groups}


def _per_group(probs: np.ndarray, groups: np.ndarray, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    if probs.shape != (len(groups), len(classes)):
        raise ValueError(f"probs has shape {probs.shape}; expected ({len(groups)} images, {len(classes)} classes)")
    return {name: _averages(probs[groups == index]) for index, name in enumerate(classes)}


def _averages(probs: np.ndarray) -> dict[str, float]:
    if len(probs) == 0:
        return {"images": 0}
    return {
        "images": len(probs),
        "average_confidence": average_confidence(probs),
        "average_entropy": average_entropy(probs),
    }


def _mean(values: np.ndarray) -> float:
    if len(values) == 0:
        raise ValueError("probs has 0 images; an average needs at least one")
    return float(values.mean())
