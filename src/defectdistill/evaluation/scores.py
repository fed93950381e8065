"""Scores of classifiers and of segmentations against the truth, under names that DVC and MLflow take as they are.

Accuracy, macro-F1, recall, loss and AUC after the cable paper's section 4.6; G-mean after rkd-sarsn.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from sklearn import metrics

from defectdistill.evaluation.uncertainty import checked_probs

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
    """Return the scores of one classifier by flat metric name, in [0, 1] but for `loss`.

    `probs` is (N, K) in [0, 1], `labels` int (N,) with values 0 … K−1, `classes` the K names.

    - `accuracy`; `macro_f1`, `macro_recall`, `macro_auc`: unweighted means over the classes that have a score;
      `g_mean`: the geometric mean of the class recalls
    - `loss`: the mean over images of −ln p of the true class, in nats, p clipped from below at 1e-12
    - `f1/CLASS`, `recall/CLASS`, `precision/CLASS` (0 for a class that is never predicted), `auc/CLASS` (one class
      against the rest), CLASS after `metric_names`

    What the images cannot tell is left out: F1, recall and precision of a class without an image, the AUC of a class
    with no image or with every image, `macro_auc` where no class has one.

    Raises ValueError if there is no image, or shapes or labels do not fit.
    """
    probs, labels = _checked(probs, labels, len(classes))
    predicted = probs.argmax(axis=1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), zero_division=0.0
    )
    present = support > 0
    true_class_probs = probs[np.arange(len(labels)), labels]
    scores = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": f1[present].mean(),
        "macro_recall": recall[present].mean(),
        "g_mean": recall[present].prod() ** (1 / present.sum()),
        "loss": -np.log(np.maximum(true_class_probs, SMALLEST_PROBABILITY)).mean() + 0.0,  # not -0.0
    }
    aucs = {}
    for index, name in enumerate(metric_names(classes)):
        if 0 < support[index] < len(labels):
            aucs[f"auc/{name}"] = metrics.roc_auc_score(labels == index, probs[:, index])
        if present[index]:
            scores |= {f"f1/{name}": f1[index], f"recall/{name}": recall[index], f"precision/{name}": precision[index]}
    if aucs:
        scores |= {"macro_auc": np.mean(list(aucs.values())), **aucs}
    return {name: float(value) for name, value in scores.items()}


def confusion(probs: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return the confusion matrix: int64 (K, K), row = true class, column = predicted class, entries = images.

    `probs` is (N, K), `labels` int (N,) with values 0 … K−1. Raises ValueError as `classification_scores` does.
    """
    probs, labels = _checked(probs, labels, classes)
    return metrics.confusion_matrix(labels, probs.argmax(axis=1), labels=np.arange(classes))


def paired_comparison(student: np.ndarray, baseline: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return on how many images two classifiers differ in being right, and the exact McNemar test of it.

    `student` and `baseline` are (N, K), `labels` int (N,). `student_only` and `baseline_only` count the images that
    only the one gets right; `p_value` is the two-sided binomial probability of a split at least as uneven if both
    were equally good (McNemar 1947, exact form).
    """
    student_right = _checked(student, labels, student.shape[1])[0].argmax(axis=1) == labels
    baseline_right = _checked(baseline, labels, student.shape[1])[0].argmax(axis=1) == labels
    student_only = int((student_right & ~baseline_right).sum())
    baseline_only = int((baseline_right & ~student_right).sum())
    differing, fewer = student_only + baseline_only, min(student_only, baseline_only)
    # Python's integers: 2**differing leaves the range of a float at 1024 images.
    tail = 2 * sum(math.comb(differing, count) for count in range(fewer + 1))
    return {"student_only": student_only, "baseline_only": baseline_only, "p_value": min(1.0, tail / 2**differing)}


def segmentation_scores(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return `dice` and `iou` over the pixels of all images together, and `image_dice`, the mean of each image's Dice.

    Both are (N, H, W), bool or label maps whose non-zero values are the foreground. Values lie in [0, 1]; where
    neither has a foreground pixel the score is 1. `images` is N; without any image nothing is returned. Raises
    ValueError if shapes differ.
    """
    predicted, true = np.asarray(predicted) != 0, np.asarray(true) != 0
    if predicted.shape != true.shape or predicted.ndim != 3:
        raise ValueError(f"masks have shapes {predicted.shape} and {true.shape}; expected the same (images, H, W)")
    if len(predicted) == 0:
        return {}
    common = (predicted & true).sum(axis=(1, 2))
    both = predicted.sum(axis=(1, 2)) + true.sum(axis=(1, 2))
    image_dice = np.where(both > 0, 2 * common / np.maximum(both, 1), 1.0)
    total, shared = both.sum(), common.sum()
    return {
        "dice": float(2 * shared / total) if total else 1.0,
        "iou": float(shared / (total - shared)) if total else 1.0,
        "image_dice": float(image_dice.mean()),
        "images": len(predicted),
    }


def _checked(probs: np.ndarray, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    probs, labels = checked_probs(probs), np.asarray(labels)
    if len(labels) == 0 or probs.shape != (len(labels), classes):
        raise ValueError(f"probs has shape {probs.shape}; expected ({len(labels)} ≥ 1 labels, {classes} classes)")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= classes:
        found = f"{labels.dtype} from {labels.min()} to {labels.max()}"
        raise ValueError(f"labels are {found}; expected integers from 0 to {classes - 1}")
    return probs, labels
