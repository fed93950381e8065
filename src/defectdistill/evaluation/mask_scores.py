"""Dice and IoU of label maps against the truth, per class and in the mean, as functions of weights (see `bootstrap`).

Pixels of all images are pooled, as the steel paper's mDice does, so that an image with a small mark does not count as
much as one with a large. What a resample cannot tell (no image of it shows the class) is NaN and left out of the mean.
"""

from collections.abc import Sequence

import numpy as np

from defectdistill.evaluation.bootstrap import mean_of_known, ratio
from defectdistill.evaluation.scores import metric_names

SCORES = ("dice", "iou")


def pixel_counts(found: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """Return how many pixels of each image are of a class in both label maps, in `found`, and in `true`.

    `found` and `true` are (N, H, W), 0 background and 1 + the class elsewhere; the result is float64 (N, K + 1, 3),
    its last row any defect against background. Raises ValueError for unequal shapes.
    """
    if found.shape != true.shape or found.ndim != 3:
        raise ValueError(f"label maps are {found.shape} and {true.shape}; expected the same (images, H, W)")
    counts = np.zeros((len(found), classes + 1, 3))
    for row in range(classes + 1):
        ours, theirs = (maps == row + 1 if row < classes else maps > 0 for maps in (found, true))
        counts[:, row] = np.stack([np.sum(part, axis=(1, 2)) for part in (ours & theirs, ours, theirs)], axis=1)
    return counts


def mask_scores(counts: np.ndarray, classes: Sequence[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores in each resample, (R,) by name: `mean_dice`, `mean_iou`, `any_dice` and, of each class,
    `dice/CLASS` and `iou/CLASS` (CLASS after `metric_names`).

    `counts` (N, K + 1, 3) as from `pixel_counts`, `weights` (R, N) as from `bootstrap.resample`.
    """
    shared, found, true = np.moveaxis(np.tensordot(weights, counts, axes=1), 2, 0)  # (R, K + 1) each
    values = {"dice": ratio(2 * shared, found + true), "iou": ratio(shared, found + true - shared)}
    values = {name: np.where(true > 0, value, np.nan) for name, value in values.items()}
    scores = {f"mean_{name}": mean_of_known(value[:, :-1]) for name, value in values.items()}
    scores["any_dice"] = values["dice"][:, -1]
    for column, metric in enumerate(metric_names(classes)):
        scores |= {f"{name}/{metric}": values[name][:, column] for name in SCORES}
    return scores
