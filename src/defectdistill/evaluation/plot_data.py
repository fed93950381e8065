"""The data behind the figures as CSV files, for `dvc plots` and for any spreadsheet.

`confusion_MODEL.csv` has the two columns that DVC's `confusion` template asks for; `roc_MODEL.csv` is one curve over
all classes together (micro-average), because a template of DVC's draws one line per file.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from sklearn import metrics

from defectdistill.probabilities import checked_probs, confidence, entropy

_PREDICTED = ("predicted", "confidence", "entropy")


def write_plot_data(
    folder: Path,
    probs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    unlabelled: Mapping[str, np.ndarray],
    unlabelled_names: Sequence[str],
    classes: Sequence[str],
) -> list[Path]:
    """Write the CSV files into `folder`, which is made if it is missing, and return their paths.

    `probs` is {model: (N, K)} on the test split with `labels` int (N,) and `names` (N), `unlabelled` {model: (M, K)}
    with `unlabelled_names` (M), M may be 0. Written are `predictions.csv`, `unlabelled_predictions.csv` (in the form
    of `prediction_rows`), `roc.csv` (model, class, fpr, tpr), and per model `roc_MODEL.csv` (fpr, tpr) and
    `confusion_MODEL.csv` (actual, predicted; one row per image).
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for model in probs for row in prediction_rows(model, probs[model], names, classes, labels)]
    written = [_write(folder / "predictions.csv", ["model", "name", "true", *_PREDICTED], rows)]
    rows = [row for model in unlabelled for row in prediction_rows(model, unlabelled[model], unlabelled_names, classes)]
    written.append(_write(folder / "unlabelled_predictions.csv", ["model", "name", *_PREDICTED], rows))
    rows = [row for model in probs for row in _roc_rows(model, probs[model], labels, classes)]
    written.append(_write(folder / "roc.csv", ["model", "class", "fpr", "tpr"], rows))
    for model, model_probs in probs.items():
        onehot = np.eye(len(classes), dtype=int)[labels]
        fpr, tpr, _ = metrics.roc_curve(onehot.ravel(), model_probs.ravel())
        written.append(_write(folder / f"roc_{model}.csv", ["fpr", "tpr"], _curve_rows(fpr, tpr)))
        rows = [
            {"actual": classes[label], "predicted": classes[index]}
            for label, index in zip(labels, model_probs.argmax(axis=1), strict=True)
        ]
        written.append(_write(folder / f"confusion_{model}.csv", ["actual", "predicted"], rows))
    return written


def prediction_rows(
    model: str,
    probs: np.ndarray,
    names: Sequence[str],
    classes: Sequence[str],
    labels: np.ndarray | None = None,
) -> list[dict[str, str]]:
    """Return one row per image: model, name, true (only where `labels` is given), predicted, confidence, entropy.

    `probs` is (N, K), `names` (N), `labels` int (N,). Classes by name; six decimals; entropy in nats.
    """
    probs = checked_probs(probs)
    truth = [{}] * len(probs) if labels is None else [{"true": classes[label]} for label in labels]
    return [
        {
            "model": model,
            "name": name,
            **true,
            "predicted": classes[index],
            "confidence": f"{sure:.6f}",
            "entropy": f"{unsure:.6f}",
        }
        for name, true, index, sure, unsure in zip(
            names, truth, probs.argmax(axis=1), confidence(probs), entropy(probs), strict=True
        )
    ]


def _roc_rows(model: str, probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Iterable[dict[str, str]]:
    for index, name in enumerate(classes):
        positive = labels == index
        if positive.any() and not positive.all():
            fpr, tpr, _ = metrics.roc_curve(positive, probs[:, index])
            yield from ({"model": model, "class": name, **row} for row in _curve_rows(fpr, tpr))


def _curve_rows(fpr: np.ndarray, tpr: np.ndarray) -> list[dict[str, str]]:
    return [{"fpr": f"{x:.6f}", "tpr": f"{y:.6f}"} for x, y in zip(fpr, tpr, strict=True)]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
