"""What is won if the least certain images go to a person: risk and coverage, and a threshold on the confidence.

Selective classification after El-Yaniv and Wiener 2010; the area under the risk-coverage curve (AURC) after Geifman,
Uziel and El-Yaniv 2019. Images of the same confidence are handed over together, or in equal shares.
"""

import math

import numpy as np
from scipy.stats import beta

from defectdistill.evaluation.bootstrap import ratio, weighted_mean

HANDED_OVER = (10, 20, 30)  # per cent, the least certain
DIGITS = 6  # of a threshold
LEAST_ABOVE = 5  # images that have to reach a threshold
DOUBT = 0.05  # how often chance alone may do as well: once in 20 times


def resampled_selection(sure: np.ndarray, right: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return in each resample, (R,): `aurc` and, for each x of HANDED_OVER, `accuracy_without_x`, both in [0, 1].

    `sure` is the confidence (N,), `right` bool (N,), `weights` (R, N). `aurc` is the mean over the images of the
    error rate among those that are at least as certain as it; less is better. `accuracy_without_x` is the accuracy of
    the rest when the least certain x % are handed over; an image at the border counts in part.
    """
    drawn, correct = _by_confidence(sure, right, weights)[1:]
    kept = np.cumsum(drawn, axis=1)
    risk = 1 - np.nan_to_num(ratio(np.cumsum(correct, axis=1), kept))
    total = weights.sum(axis=1)
    values = {"aurc": ratio((drawn * risk).sum(axis=1), total)}
    share = np.nan_to_num(ratio(correct, drawn))
    for handed in HANDED_OVER:
        budget = (1 - handed / 100) * total[:, None]
        answered = np.clip(budget - (kept - drawn), 0, drawn)
        values[f"accuracy_without_{handed}"] = ratio((answered * share).sum(axis=1), answered.sum(axis=1))
    return values


def coverage_curve(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of the images that are answered, rising to 1, and the accuracy of these: (U,) each.

    U is the number of distinct confidences.
    """
    _, drawn, correct = _by_confidence(sure, right, np.ones((1, len(sure))))
    kept = np.cumsum(drawn[0])
    return kept / len(sure), np.cumsum(correct[0]) / kept


def choose_threshold(sure: np.ndarray, right: np.ndarray, target: float) -> float | None:
    """Return the least confidence which at least LEAST_ABOVE images reach, with an accuracy of at least `target`.

    To be called with validation images; None where no threshold gets there. Rounded down to six decimals, so that the
    image at the threshold passes it on every machine.

    What it is worth for new images `least_share` says, and whoever shows the threshold has to say it too. To ask for
    that bound to reach `target` would be a promise that holds, and no threshold: 0.95 takes 59 images, all right, and
    a hundred photographs leave about 18 to validate. To ask for nothing let one or two lucky images make a threshold:
    in 6 of 10 cases where the confidence says nothing at all, with five in less than 1 of 10.
    """
    levels, drawn, correct = _by_confidence(sure, right, np.ones((1, len(sure))))
    candidates = np.unique(np.floor(levels * 10**DIGITS) / 10**DIGITS)
    # Rounding down may let in further images, so that each is judged as it will be used.
    passed = np.searchsorted(-levels, -candidates, side="right") - 1
    images, accurate = np.cumsum(drawn[0])[passed], np.cumsum(correct[0])[passed]
    passing = candidates[(images >= LEAST_ABOVE) & (accurate / images >= target - 1e-12)]
    return float(passing.min()) if len(passing) else None


def least_share(right: int, images: int) -> float:
    """Return the share of right answers with which `right` or more of `images` happen once in 20 times.

    The lower bound of Clopper and Pearson 1934, one-sided, 95 %.
    """
    return float(beta.ppf(DOUBT, right, images - right + 1)) if right else 0.0


def images_to_show(share: float) -> int:
    """Return how many images, all of them right, have a `least_share` of `share`, in (0, 1)."""
    return math.ceil(math.log(DOUBT) / math.log(share))


def resampled_threshold(
    sure: np.ndarray, right: np.ndarray, threshold: float, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return `below_threshold`, the share of images under it, and `accuracy_above`, of the others (NaN without any).

    Arguments as in `resampled_selection`; (R,) each.
    """
    passed = sure >= threshold
    return {
        "below_threshold": weighted_mean(~passed, weights),
        "accuracy_above": weighted_mean(right[passed], weights[:, passed]),
    }


def _by_confidence(
    sure: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct confidences, falling, (U,), and the drawn and the right images of each, (R, U)."""
    order = np.argsort(-sure, kind="stable")
    first = np.flatnonzero(np.diff(sure[order], prepend=np.inf))
    drawn = weights[:, order]
    sums = (np.add.reduceat(values, first, axis=1) for values in (drawn, drawn * right[order]))
    return sure[order][first], *sums
