"""The figures of one evaluation with their captions, in the order of the report; which paper's figure each follows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from defectdistill.evaluation.activation_sheet import activation_sheet
from defectdistill.evaluation.calibration import scaled
from defectdistill.evaluation.gathered import Pixels
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.plots import plot_confidence, plot_confusion, plot_entropy, plot_roc
from defectdistill.evaluation.training_plots import plot_loss_terms, plot_teacher, plot_training, read_history
from defectdistill.evaluation.trust_plots import plot_coverage, plot_reliability

_PAPER = "after the cable paper's Figure"
_BOX = "Box: quartiles and median; whiskers: 1.5 interquartile ranges; dots: single images; diamond: mean"

_RELIABILITY = (
    "Reliability on the test split. A bar is the share of right answers among the images of that confidence; on the "
    "dashed line it would be as large as the confidence. Numbers: images. A bar of few images says little."
)
_COVERAGE = (
    "Accuracy on the test split if the model answers only where it is most certain. Dashed: 10, 20 and 30\u00a0% go to "
    "a person."
)
_ATTENTION = (
    "Class-activation maps (Grad-CAM with local weights) of the true class on test photographs, from dark (nothing) to "
    "light yellow (the most). Outlined: the mask."
)


def draw_figures(
    folder: Path,
    probs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    unlabelled: Mapping[str, np.ndarray],
    classes: Sequence[str],
    histories: Mapping[str, Path],
) -> list[tuple[str, Path]]:
    """Draw every figure that the data allows into `folder`, which is made if missing; return (caption, file) each.

    `probs` is {model: (N, K)} on the test split with `labels` int (N,), `unlabelled` {model: (M, K)}, M ≥ 0;
    `histories` are the CSV files of teacher, student and baseline; those that are missing are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = [
        (f"Confusion matrices on the test split: images, and their share of the row ({_PAPER} 8).",
         plot_confusion(folder / "confusion.png", probs, labels, classes)),
        (f"ROC curves on the test split, each class against the others ({_PAPER} 7).",
         plot_roc(folder / "roc.png", probs, labels, classes)),
    ]  # fmt: skip
    if len(next(iter(unlabelled.values()))):
        figures += _uncertainty(folder, "unlabelled", "the unlabelled set, by predicted class", unlabelled, classes)
    figures += _uncertainty(folder, "test", "the test split, by true class", probs, classes, labels)
    there = {model: read_history(path) for model, path in histories.items() if path.exists()}
    return figures + _training(folder, there)


def draw_trust(
    folder: Path,
    probs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    chosen: Mapping[str, Chosen],
    classes: Sequence[str],
    pixels: Pixels | None,
    synthetic: bool,
) -> dict[str, list[tuple[str, Path]]]:
    """Draw what shows how far the models can be trusted; return (caption, file) by section of the report.

    The sections are `calibration`, `selective` and `attention`. `probs` and `labels` as in `draw_figures`; `pixels`
    are of the same test split. `folder` must exist.
    """
    scaled_probs = {model: scaled(probs[model], chosen[model].temperature.value) for model in probs}
    is_calibrated = any(choice.is_calibrated for choice in chosen.values())
    reliability = plot_reliability(folder / "reliability.png", probs, scaled_probs if is_calibrated else None, labels)
    coverage = plot_coverage(folder / "risk_coverage.png", scaled_probs, labels)
    sheet = pixels and activation_sheet(pixels, labels, classes, folder / "attention.png", synthetic)
    return {
        "calibration": [(_RELIABILITY, reliability)],
        "selective": [(_COVERAGE, coverage)],
        "attention": [(_ATTENTION, sheet)] if sheet else [],
    }


def _uncertainty(folder, key, words, probs, classes, labels=None) -> list[tuple[str, Path]]:
    return [
        (f"Average entropy on {words} ({_PAPER} 4).",
         plot_entropy(folder / f"entropy_{key}.png", probs, classes, labels)),
        (f"Confidence on {words} ({_PAPER} 5). {_BOX}.",
         plot_confidence(folder / f"confidence_{key}.png", probs, classes, labels)),
    ]  # fmt: skip


def _training(folder, histories) -> list[tuple[str, Path]]:
    figures = []
    classifiers = {model: rows for model, rows in histories.items() if model != "teacher"}
    kept = "Dots: the epoch whose weights were kept"
    if classifiers:
        caption = (
            f"Training of the classifiers ({_PAPER} 6). {kept}. The student's training loss holds the distillation"
        )
        figures.append(
            (f"{caption} term, the baseline's does not.", plot_training(folder / "training.png", classifiers))
        )
    if "student" in histories:
        caption = (
            "The terms of the student's loss, unweighted, the weight λ of the distillation, and the learning rate."
        )
        figures.append((caption, plot_loss_terms(folder / "loss_terms.png", histories["student"])))
    if "teacher" in histories:
        figures.append(
            (f"Training of the teacher. {kept}.", plot_teacher(folder / "teacher.png", histories["teacher"]))
        )
    return figures
