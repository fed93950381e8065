"""Many trainings of one comparison: every row trained with several seeds, scored on the same images.

Intervals know both sources of chance: the photographs (drawn by group) and the seeds are drawn at once, with
replacement, each independently of the other (a crossed bootstrap; Owen 2007, Annals of Applied Statistics 1). With
three seeds their part of it is rough. Rows share images and seeds, so that their differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from defectdistill.evaluation.bootstrap import Estimate, interval, resample, weighted_mean
from defectdistill.evaluation.scores import resampled_scores
from defectdistill.probabilities import confidence, entropy

COMPARED = "macro_f1"
ON_TEST = ("accuracy", "macro_f1", "loss")


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
    seeds = resample([str(number) for number in range(count)], rounds, seed) if count > 1 else np.ones((rounds, 1))
    test, unlabelled = resample(images.groups, rounds, seed + 1), resample(images.unlabelled_groups, rounds, seed + 2)
    found = {}
    for name, row in rows.items():
        drawn = [
            measured(*probs, images, test, unlabelled, names) for probs in zip(row.test, row.unlabelled, strict=True)
        ]
        ones = np.ones((1, len(images.groups))), np.ones((1, len(images.unlabelled_groups)))
        whole = [measured(*probs, images, *ones, names) for probs in zip(row.test, row.unlabelled, strict=True)]
        found[name] = {
            value: (
                float(np.mean([of[value][0] for of in whole])),
                np.mean(np.stack([of[value] for of in drawn]) * seeds[: len(drawn[0][value])].T, axis=0),
            )
            for value in whole[0]
        }
    mean, around = found[reference][compared]
    return {
        name: Scored(
            {value: (number, interval(resampled)) for value, (number, resampled) in values.items()},
            None if name == reference else (values[compared][0] - mean, interval(values[compared][1] - around)),
        )
        for name, values in found.items()
    }


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
