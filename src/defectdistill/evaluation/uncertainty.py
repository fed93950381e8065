"""How sure a classifier is, without labels: average confidence and average entropy (the cable paper's section 4.5).

`AC = 1/N Σ_i max_k p_ik` and `AE = −1/N Σ_i Σ_k p_ik ln p_ik`. The paper gives them in all and per class; on images
without labels "per class" can only mean the predicted class, on the test split the true class is known as well.
A low entropy says that a model is decided, not that it is right.
"""

from collections.abc import Sequence

import numpy as np

from defectdistill.evaluation.bootstrap import weighted_mean

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


def resampled_averages(
    probs: np.ndarray, names: Sequence[str], weights: np.ndarray, labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return AC and AE in each resample, (R,), in all and per class: true where `labels` is given, else predicted.

    `probs` is (N, K), `names` the K classes' metric names, `weights` (R, N) as from `bootstrap.resample`. By name:
    `average_confidence`, `average_entropy`, `confidence/CLASS`, `entropy/CLASS`; NaN without an image.
    """
    probs = checked_probs(probs)
    groups = probs.argmax(axis=1) if labels is None else labels
    averages = {}
    for kind, values in (("confidence", confidence(probs)), ("entropy", entropy(probs))):
        averages[f"average_{kind}"] = weighted_mean(values, weights)
        for index, name in enumerate(names):
            averages[f"{kind}/{name}"] = weighted_mean(values[groups == index], weights[:, groups == index])
    return averages


def class_counts(probs: np.ndarray, names: Sequence[str], labels: np.ndarray | None = None) -> dict[str, int]:
    """Return `images` and `images/CLASS` of the true classes where `labels` is given, else of the predicted ones."""
    groups = checked_probs(probs).argmax(axis=1) if labels is None else labels
    counts = {f"images/{name}": int((groups == index).sum()) for index, name in enumerate(names)}
    return {"images": len(probs), **counts}


def _mean(values: np.ndarray) -> float:
    if len(values) == 0:
        raise ValueError("probs has 0 images; an average needs at least one")
    return float(values.mean())
