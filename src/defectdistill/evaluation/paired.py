"""Whether two classifiers differ by more than chance on one test split: McNemar's test, photographs kept by group.

Photographs of one object are no independent witnesses (as in `bootstrap`): if both classifiers are equally good, which
of them a *group* speaks for is a toss of a coin, not which each photograph speaks for. Where every group has a single
photograph this is McNemar's test in its exact form (1947).
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

from defectdistill.evaluation.scores import checked


def paired_comparison(
    student: np.ndarray, baseline: np.ndarray, labels: np.ndarray, groups: Sequence[str]
) -> dict[str, float]:
    """Return on how many images two classifiers differ in being right, and the exact test of it.

    `student` and `baseline` are (N, K), `labels` int (N,), `groups` (N) names each image's group. `student_only` and
    `baseline_only` count the images that only the one gets right, `groups_differing` the groups in which one gets more
    of them; `p_value` is the two-sided probability of a sum of differences at least as far from zero if each group's
    difference had its sign by a toss. Raises ValueError as `scores.checked`.
    """
    ahead = sum(
        sign * (checked(probs, labels, student.shape[1])[0].argmax(axis=1) == labels).astype(int)
        for sign, probs in ((1, student), (-1, baseline))
    )
    members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    differences = np.bincount(members, weights=ahead).astype(int)
    return {
        "student_only": int((ahead > 0).sum()),
        "baseline_only": int((ahead < 0).sum()),
        "groups_differing": int((differences != 0).sum()),
        "p_value": sign_flip_p_value(differences),
    }


def sign_flip_p_value(differences: np.ndarray) -> float:
    """Return P(|Σ ±d| ≥ |Σ d|), every sign a toss, exactly: whole numbers (G,) → [0, 1].

    Of the n differences of one size a binomial number is positive, so that Σ ±d is a convolution of a few binomials.
    """
    chances = np.ones(1)  # of every reachable half of Σ ±d + Σ |d|
    for size, count in zip(*np.unique(np.abs(differences[differences != 0]), return_counts=True), strict=True):
        spread = np.zeros(size * count + 1)
        spread[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, spread)
    sums = 2 * np.arange(len(chances)) - np.abs(differences).sum()
    return float(min(1.0, chances[np.abs(sums) >= abs(differences.sum())].sum()))
