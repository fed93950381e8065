"""The figures of an evaluation of masks with their captions: the steel paper's Figures 4 (loss) and 6 (masks)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.evaluation.mask_results import MODELS, Results, Segmented
from defectdistill.evaluation.scores import metric_names
from defectdistill.evaluation.training_plots import plot_loss_terms, plot_teacher, plot_training, read_history

SHOWN = 10
_KEPT = "Dots: the epoch whose weights were kept"


def draw_figures(
    folder: Path, results: Results, classes: Sequence[str], histories: Mapping[str, Path]
) -> list[tuple[str, Path]]:
    """Draw what was measured and how the trainings went into `folder`, which is made; return (caption, file) each."""
    folder.mkdir(parents=True, exist_ok=True)
    past = {model: read_history(path) for model, path in histories.items() if path.exists()}
    figures = [("Dice of each class on the test split, with 95 % intervals.", plot_dice(folder, results, classes))]
    students = {model: past[model] for model in ("student", "baseline") if model in past}
    if students:
        caption = "Loss curves (after the steel paper's Figure 4). The student's training loss holds the distillation"
        figures.append((f"{caption} term. {_KEPT}.", plot_training(folder / "training.png", students)))
    if "student" in past:
        caption = "The terms of the student's loss, unweighted, the weight λ of the distillation, and the rate."
        figures.append((caption, plot_loss_terms(folder / "loss_terms.png", past["student"])))
    if "teacher" in past:
        figures.append((f"Training of the teacher. {_KEPT}.", plot_teacher(folder / "teacher.png", past["teacher"])))
    return figures


def plot_dice(folder: Path, results: Results, classes: Sequence[str]) -> Path:
    """Draw Dice of each class and their mean, a point and an interval for each model."""
    rows, path = ["mean_dice", *(f"dice/{name}" for name in metric_names(classes))], folder / "dice.png"
    models = [model for model in MODELS if "mean_dice" in scores_of(results, model)]
    with style.drawing(path, height=1.3 + 0.5 * len(rows)) as figure:
        axes = figure.subplots()
        for number, model in enumerate(models):
            values, ends = scores_of(results, model), ends_of(results, model)
            colour, shift = style.MODEL_COLOURS[number], 0.2 * (number - (len(models) - 1) / 2)
            for row, name in enumerate(rows):
                if name in values:
                    axes.plot(values[name], row + shift, "o", color=colour, markersize=5)
                if name in ends:
                    axes.plot(ends[name], [row + shift] * 2, color=colour, linewidth=1.4)
            axes.plot([], [], "o-", color=colour, label=style.heading(model))
        axes.set_yticks(range(len(rows)), ["Mean", *(style.readable(name, 18) for name in classes)])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("Dice, pixels of all test images together")
        figure.legend(loc="outside upper center", ncols=len(models))
    return path


def overlay_sheet(path: Path, said: Segmented, classes: Sequence[str], synthetic: bool) -> tuple[str, Path]:
    """Draw test images with their true masks and, below, what each model finds; return (caption, file).

    Images are chosen by what they show, not by how well they went: those that show most classes of each kind in turn.
    """
    rows = chosen(said.true, len(classes))
    pictures = [("true", said.true), *((model, said.found[model]) for model in MODELS if model in said.found)]
    contact_sheet(
        [(words, said.images[rows], masks[rows]) for words, masks in pictures],
        SHOWN,
        path,
        "Test images: true masks, and what each model finds",
        legend=[style.readable(name) for name in classes],
        synthetic=synthetic,
    )
    caption = "Test images and the masks that the models find beside the true ones (after the steel paper's Figure 6)"
    return caption, path


def chosen(true: np.ndarray, classes: int, count: int = SHOWN) -> np.ndarray:
    """Return rows of up to `count` images: of each class in turn the one with most of it that is not chosen yet."""
    areas = np.stack([(true == label).sum(axis=(1, 2)) for label in range(1, classes + 1)], axis=1)
    left, rows = set(range(len(true))), []
    while left and len(rows) < count:
        column = len(rows) % classes
        rows.append(max(sorted(left), key=lambda row: areas[row, column]))
        left.remove(rows[-1])
    return np.array(rows, dtype=int)


def scores_of(results: Results, model: str) -> dict[str, Any]:
    """Return a model's scores by name."""
    return results[model].get("test", results[model])


def ends_of(results: Results, model: str) -> dict[str, list[float]]:
    """Return the intervals of a model's scores by name."""
    return results[model]["intervals"].get("test", results[model]["intervals"])
