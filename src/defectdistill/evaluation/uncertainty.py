"""How sure a classifier is, without labels: average confidence and average entropy (the cable paper's section 4.5).

`AC = 1/N Σ_i max_k p_ik` and `AE = −1/N Σ_i Σ_k p_ik ln p_ik`. The paper gives them in all and per class; on images
without labels "per class" can only mean the predicted class, on the test split the true class is known as well.
A low entropy says that a model is decided, not that it is right.
"""

from collections.abc import Sequence

import numpy as np

from defectdistill.evaluation.bootstrap import weighted_mean
from defectdistill.probabilities import checked_probs, confidence, entropy


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
