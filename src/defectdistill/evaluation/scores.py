"""Scores of classifiers and of segmentations against the truth, under names that DVC and MLflow take as they are.

Accuracy, macro-F1, recall, loss and AUC after the cable paper's section 4.6; G-mean after rkd-sarsn. Ours and not
scikit-learn's, against which the tests hold them: thousands of resamples in one go (see `bootstrap`).
"""

import re
from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from defectdistill.evaluation.bootstrap import mean_of_known, once, ratio, weighted_mean
from defectdistill.probabilities import checked_probs

# A class given the probability 0 would make the loss infinite: 27.6 nats is the most that one image can cost.
SMALLEST_PROBABILITY = 1e-12


def metric_names(classes: Sequence[str]) -> list[str]:
    """Return one name per class that MLflow accepts as the last part of a metric's name, all different.

    Letters, digits, `_`, `-`, `.` and space stay; anything else becomes `_`; a name that is then taken gets `_2`, `_3`…
    """
    names: list[str] = []
    for name in classes:
        plain = re.sub(r"[^\w\-. ]|^\.+$", "_", name)
        candidates = (plain if number == 1 else f"{plain}_{number}" for number in range(1, len(classes) + 1))
        names.append(next(candidate for candidate in candidates if candidate not in names))
    return names


def classification_scores(probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return the `resampled_scores` of the images as they are; what they cannot tell is left out.

    Raises ValueError if there is no image, or shapes or labels do not fit.
    """
    probs, labels = checked(probs, labels, len(classes))
    return once(lambda weights: resampled_scores(probs, labels, classes, weights), len(labels))


def resampled_scores(
    probs: np.ndarray, labels: np.ndarray, classes: Sequence[str], weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of one classifier in each resample: (R,) by flat metric name, in [0, 1] but for `loss`.

    `probs` is (N, K) in [0, 1], `labels` int (N,) with values 0 … K−1, `classes` the K names, `weights` (R, N) as from
    `bootstrap.resample`.

    - `accuracy`; `macro_f1`, `macro_recall`, `macro_auc`: unweighted means over the classes that have a score;
      `g_mean`: the geometric mean of the class recalls
    - `loss`: the mean over images of −ln p of the true class, in nats, p clipped from below at 1e-12
    - `f1/CLASS`, `recall/CLASS`, `precision/CLASS` (0 for a class that is never predicted), `auc/CLASS` (one class
      against the rest), CLASS after `metric_names`

    What a resample cannot tell is NaN: F1, recall and precision of a class without an image, the AUC of a class with
    no image or with every image, `macro_auc` where no class has one.
    """
    true, said = np.eye(len(classes))[labels], np.eye(len(classes))[probs.argmax(axis=1)]  # (N, K)
    support, predicted, hits = weights @ true, weights @ said, weights @ (true * said)  # (R, K)
    recall = ratio(hits, support)
    per_class = {
        "f1": np.where(support > 0, ratio(2 * hits, support + predicted), np.nan),
        "recall": recall,
        "precision": np.where(support > 0, np.nan_to_num(ratio(hits, predicted)), np.nan),
        "auc": np.stack([_auc(probs[:, index], labels == index, weights) for index in range(len(classes))], axis=1),
    }
    scores = {
        "accuracy": ratio(hits.sum(axis=1), support.sum(axis=1)),
        "macro_f1": mean_of_known(per_class["f1"]),
        "macro_recall": mean_of_known(recall),
        "macro_auc": mean_of_known(per_class["auc"]),
        "g_mean": np.nanprod(recall, axis=1) ** (1 / np.maximum(1, (support > 0).sum(axis=1))),
        "loss": weighted_mean(negative_log_likelihood(probs, labels), weights),
    }
    for index, name in enumerate(metric_names(classes)):
        scores |= {f"{score}/{name}": values[:, index] for score, values in per_class.items()}
    return scores


def negative_log_likelihood(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return −ln p of each image's true class in nats, p clipped from below at 1e-12: (N, K) → (N,)."""
    true_class_probs = probs[np.arange(len(labels)), labels]
    return 0.0 - np.log(np.maximum(true_class_probs, SMALLEST_PROBABILITY))  # "0 −": no negative zero


def _auc(score: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each resample, (R,): the chance that a positive image scores higher.

    A tie counts one half (Mann and Whitney 1947). `score` is float (N,), `positive` bool (N,), `weights` (R, N).
    """
    order = np.argsort(score, kind="stable")
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # where each distinct score begins
    drawn = weights[:, order]
    positives = np.add.reduceat(drawn * positive[order], first, axis=1)  # (R, distinct scores)
    negatives = np.add.reduceat(drawn * ~positive[order], first, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    return ratio((positives * below).sum(axis=1), positives.sum(axis=1) * negatives.sum(axis=1))


def confusion(probs: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix: int64 (K, K), row = true class, column = predicted class, entries = images.

    `probs` is (N, K), `labels` int (N,) with values 0 … K−1. Raises ValueError as `classification_scores` does.
    """
    probs, labels = checked(probs, labels, classes)
    return metrics.confusion_matrix(labels, probs.argmax(axis=1), labels=np.arange(classes))


def overlaps(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return what both masks of each image share, and the sum of their pixels: float64 (N, 2).

    Both are (N, H, W), bool or label maps whose non-zero values are the foreground. Raises ValueError if shapes differ.
    """
    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape or predicted.ndim != 3:
        raise ValueError(f"masks have shapes {predicted.shape} and {true.shape}; expected the same (images, H, W)")
    common = (predicted & true).sum(axis=(1, 2))
    both = predicted.sum(axis=(1, 2)) + true.sum(axis=(1, 2))
    return np.stack([common, both], axis=1).astype(np.float64)


def segmentation_scores(overlap: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `dice` and `iou` over the pixels of all images together, and `image_dice`, the mean of each image's Dice.

    `overlap` is (N, 2) from `overlaps`, `weights` (R, N) as from `bootstrap.resample`; the values are (R,) in [0, 1].
    Where neither mask has a foreground pixel the score is 1; in a resample without any image it is NaN.
    """
    common, both = overlap[:, 0], overlap[:, 1]
    image_dice = np.where(both > 0, 2 * common / np.maximum(both, 1), 1.0)
    shared, total, images = weights @ common, weights @ both, weights.sum(axis=1)
    empty = np.where(images > 0, 1.0, np.nan)
    return {
        "dice": np.where(total > 0, ratio(2 * shared, total), empty),
        "iou": np.where(total > 0, ratio(shared, total - shared), empty),
        "image_dice": weighted_mean(image_dice, weights),
    }


def checked(probs: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return class probabilities as float64 (N, K) and class indices as an array (N,), N ≥ 1, or raise ValueError."""
    probs, labels = checked_probs(probs), np.asarray(labels)
    if len(labels) == 0 or probs.shape != (len(labels), classes):
        raise ValueError(f"probs has shape {probs.shape}; expected ({len(labels)} ≥ 1 labels, {classes} classes)")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        found = f"{labels.dtype} from {labels.min()} to {labels.max()}"
        raise ValueError(f"labels are {found}; expected integers from 0 to {classes - 1}")
    return probs, labels
