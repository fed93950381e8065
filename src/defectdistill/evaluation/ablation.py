"""Many trainings of one comparison: every row trained with several seeds, scored on the same images.

Intervals know both sources of chance: the photographs, drawn with replacement by group, and the seeds, whose part is
Student's t of so few (`bootstrap.seed_part`), each independently of the other. Rows share images and seeds, so that
their differences are paired. With one seed an interval is of the photographs alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from defectdistill.evaluation.bootstrap import Estimate, Interval, interval, resample, seed_part, weighted_mean
from defectdistill.evaluation.scores import resampled_scores
from defectdistill.probabilities import confidence, entropy

COMPARED = "macro_f1"
ON_TEST = ("accuracy", "macro_f1", "loss")
ABOVE_ONE = ("loss", "average_entropy")  # scores that may be; the others lie in [0, 1]


@dataclass(frozen=True)
class Trained:
    """What a row's trainings say: probabilities (seeds, N, K) on the test split and (seeds, M, K) without a label."""

    test: np.ndarray
    unlabelled: np.ndarray


@dataclass(frozen=True)
class Images:
    """The images: `labels` int (N,), the group of each test image (N) and of each image without a label (M)."""

    labels: np.ndarray
    groups: Sequence[str]
    unlabelled_groups: Sequence[str]
    classes: Sequence[str]


@dataclass(frozen=True)
class Scored:
    """A row's mean over the seeds by name, each with its interval, and what is compared less that of the reference."""

    values: dict[str, Estimate]
    difference: Estimate | None = None


def score_rows(
    rows: Mapping[str, Trained],
    images: Images,
    reference: str,
    rounds: int,
    seed: int,
    names: Sequence[str] = ON_TEST,
    compared: str = COMPARED,
) -> dict[str, Scored]:
    """Return what every row reaches: `names` among the scores of the test split, and average_entropy and
    average_confidence on images without a label if there are any.

    All rows have the same seeds, in one order. `reference` names the row with which the others are compared by the
    score `compared`, one of `names`; it has no difference. `rounds` resamples are drawn with `seed`.
    """
    count = len(rows[reference].test)
    seeds = seed_part(count, rounds, seed)
    test, unlabelled = resample(images.groups, rounds, seed + 1), resample(images.unlabelled_groups, rounds, seed + 2)
    found = {}
    for name, row in rows.items():
        drawn = [
            measured(*probs, images, test, unlabelled, names) for probs in zip(row.test, row.unlabelled, strict=True)
        ]
        ones = np.ones((1, len(images.groups))), np.ones((1, len(images.unlabelled_groups)))
        whole = [measured(*probs, images, *ones, names) for probs in zip(row.test, row.unlabelled, strict=True)]
        found[name] = {
            value: mean_over_seeds([of[value][0] for of in whole], [of[value] for of in drawn], seeds)
            for value in whole[0]
        }
    mean, around = found[reference][compared]
    return {
        name: Scored(
            {value: (number, possible(value, interval(resampled))) for value, (number, resampled) in values.items()},
            None if name == reference else (values[compared][0] - mean, interval(values[compared][1] - around)),
        )
        for name, values in found.items()
    }


def mean_over_seeds(whole: Sequence[float], drawn: Sequence[np.ndarray], seeds: np.ndarray) -> tuple[float, np.ndarray]:
    """Return a score's mean over the seeds and what it may have been, (rounds,).

    `whole` are the scores of the images as they are, one a seed, `drawn` the same in each resample of the images,
    (rounds,) each, `seeds` from `seed_part`.
    """
    around = np.mean(drawn, axis=0)
    return float(np.mean(whole)), around + seeds[: len(around)] @ np.asarray(whole)


def possible(name: str, ends: Interval | None) -> Interval | None:
    """Return an interval of a score without what the score cannot be."""
    highest = np.inf if name in ABOVE_ONE else 1.0
    return ends and [min(max(end, 0.0), highest) for end in ends]


def covered(seeds: int) -> str:
    """Return in a sentence what the intervals of a table with so many seeds a row know of."""
    if seeds == 1:
        return (
            "Intervals: 95 %, over the test images alone; what another seed would change they do not know, so that no "
            "difference is bold."
        )
    return f"Intervals: 95 %, over test images and seeds (Student's t of {seeds})."


def measured(
    probs: np.ndarray,
    unlabelled: np.ndarray,
    images: Images,
    weights: np.ndarray,
    unlabelled_weights: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return what one training reaches in each resample, (R,) by name; `probs` is (N, K), `unlabelled` (M, K)."""
    scores = resampled_scores(probs, images.labels, images.classes, weights)
    values = {name: scores[name] for name in names}
    if len(unlabelled):
        values["average_entropy"] = weighted_mean(entropy(unlabelled), unlabelled_weights)
        values["average_confidence"] = weighted_mean(confidence(unlabelled), unlabelled_weights)
    return values
