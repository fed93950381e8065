"""What happened during training, read from histories with one row per epoch: the cable paper's Figure 6, and more.

A column that is missing, or empty in every row, is left out of the figure; a figure of which nothing is left is an
error.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from defectdistill.evaluation import plot_style as style

History = Mapping[str, np.ndarray]

_PARTS = ("train", "val")
_CURVES = {
    "loss": "Loss", "accuracy": "Accuracy", "macro_f1": "Macro-F1", "macro_recall": "Macro recall",
    "mean_dice": "Mean Dice", "mean_iou": "Mean IoU",
}  # fmt: skip
_NO_TERMS = {"dice", "soft_dice", "kept"}  # in a history, and in no figure of the students
_TITLES = {
    "mse": "MSE", "cosine": "1 − cosine", "ssim": "1 − SSIM", "feature": "Feature loss",
    "distillation": "Distillation loss", "cross_entropy": "Cross entropy", "channelwise": "Channel-wise KL",
}  # fmt: skip
_WEIGHTS = {"lambda": "Weight λ", "learning_rate": "Learning rate"}


def read_history(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a history CSV, float64 (epochs,) each, by name; an empty cell is NaN.

    Raises ValueError if there is no row, no column `epoch`, or a cell that is not a number.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "epoch" not in rows[0]:
        raise ValueError(f"{path} has {len(rows)} rows; expected a column 'epoch' and one row per epoch")
    columns = {}
    for name in rows[0]:
        try:
            columns[name] = np.array([float(row[name] or "nan") for row in rows])
        except ValueError as error:
            raise ValueError(f"{path}, column {name!r}: {error}; expected numbers") from error
    return columns


def plot_training(path: Path, histories: Mapping[str, History]) -> Path:
    """Draw loss, accuracy, macro-F1 and macro recall over the epochs, a colour per model (Figure 6).

    Training is dashed, validation solid; a dot marks the epoch whose weights were kept. `histories` is
    {model: columns} with `epoch`, `kept` (1 there) and any of `train_…` and `val_…` loss, accuracy, macro_f1,
    macro_recall, and of students that segment mean_dice, mean_iou.
    """
    panels = [name for name in _CURVES if any(_has(rows, f"{p}_{name}") for rows in histories.values() for p in _PARTS)]
    rows, columns = _grid(panels, path)
    with style.drawing(path, height=0.9 + 2.2 * rows) as figure:
        for number, name in enumerate(panels):
            axes = figure.add_subplot(rows, columns, number + 1)
            for index, (model, history) in enumerate(histories.items()):
                _train_and_val(axes, history, name, style.MODEL_COLOURS[index], f"{style.heading(model)}, ")
            _finish(axes, _CURVES[name], bounded=name != "loss")
        _legend(figure)
    return path


def plot_teacher(path: Path, history: History) -> Path:
    """Draw the teacher's loss (training dashed, validation solid) and what it is judged by over the epochs.

    A dot marks the epoch whose weights were kept. `history` holds `epoch`, `kept` (1 there), and any of train_loss,
    val_loss, of a segmentation network val_dice and val_iou, of a classifier accuracy and macro_f1 of both splits, of a
    network that a student could be val_mean_dice, val_mean_iou.
    """
    panels = {"loss": "Loss", "dice": "Dice", "iou": "IoU"}
    if _has(history, "val_mean_dice"):
        panels = {"loss": "Loss", "mean_dice": "Mean Dice", "mean_iou": "Mean IoU"}
    elif not _has(history, "val_dice"):
        panels = {"loss": "Loss", "accuracy": "Accuracy", "macro_f1": "Macro-F1"}
    present = [name for name in panels if any(_has(history, f"{part}_{name}") for part in _PARTS)]
    rows, columns = _grid(present, path, columns=3)
    with style.drawing(path, height=2.7) as figure:
        for number, name in enumerate(present):
            axes = figure.add_subplot(rows, columns, number + 1)
            _train_and_val(axes, history, name, style.MODEL_COLOURS[0], "Teacher, ")
            _finish(axes, panels[name], bounded=name != "loss")
        _legend(figure)
    return path


def plot_loss_terms(path: Path, history: History) -> Path:
    """Draw each raw term of the student's loss, λ and the learning rate over the epochs, a panel each.

    A term is every column of `history`, with or without `train_` or `val_` in front, that is neither the epoch nor
    one of the curves of `plot_training`. Training is dashed, validation and what has only one value solid.
    """
    columns = [name for name in history if name != "epoch" and _has(history, name)]
    terms = dict.fromkeys(name.removeprefix("train_").removeprefix("val_") for name in columns)
    terms = sorted(set(terms) - set(_CURVES) - _NO_TERMS, key=lambda name: (_order(name), name))
    rows, columns = _grid(terms, path, columns=3)
    with style.drawing(path, height=0.6 + 2.1 * rows) as figure:
        for number, name in enumerate(terms):
            axes = figure.add_subplot(rows, columns, number + 1)
            if _has(history, name):
                _line(axes, history, name, color=style.INK)
            _train_and_val(axes, history, name, style.MODEL_COLOURS[0], "Student, ", dot=False)
            _finish(axes, (_TITLES | _WEIGHTS).get(name, style.heading(name)))
            axes.set_ylim(bottom=min(0.0, *(np.nanmin(line.get_ydata()) for line in axes.lines)))
        _legend(figure)
    return path


def _order(name: str) -> int:
    """Return the place of a term: the known ones first, then any other, the weights last."""
    known = [*_TITLES, None, *_WEIGHTS]
    return known.index(name if name in known else None)


def _has(history: History, column: str) -> bool:
    return column in history and bool(np.isfinite(history[column]).any())


def _grid(panels: Sequence[str], path: Path, columns: int = 2) -> tuple[int, int]:
    if not panels:
        raise ValueError(f"nothing to draw in {path.name}: none of its columns is in the history")
    columns = min(columns, len(panels))
    return -(-len(panels) // columns), columns


def _train_and_val(axes: Axes, history: History, name: str, colour: str, prefix: str, dot: bool = True) -> None:
    if _has(history, f"train_{name}"):
        dashes = {"linestyle": (0, (3, 1.5)), "linewidth": 1.2, "alpha": 0.8}
        _line(axes, history, f"train_{name}", color=colour, label=f"{prefix}training", **dashes)
    if _has(history, f"val_{name}"):
        _line(axes, history, f"val_{name}", color=colour, label=f"{prefix}validation")
    if dot and _has(history, f"val_{name}") and _has(history, "kept"):
        kept = history["kept"].argmax()
        point = (history["epoch"][kept], history[f"val_{name}"][kept])
        axes.plot(*point, "o", color=colour, markersize=6, markeredgecolor="white", clip_on=False, zorder=5)


def _line(axes: Axes, history: History, column: str, **line) -> None:
    marker = "." if len(history["epoch"]) < 3 else None  # one epoch is a point: no line would show it
    axes.plot(history["epoch"], history[column], marker=marker, **line)


def _finish(axes: Axes, title: str, bounded: bool = False) -> None:
    axes.set(title=title, xlabel="Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # 7.5e-05 instead of an offset over the title
    if bounded:
        axes.set_ylim(0, 1.02)


def _legend(figure) -> None:
    """Write one legend over all panels: every label once, in the order of its first appearance."""
    lines = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            lines.setdefault(label, handle)
    if lines:
        figure.legend(lines.values(), lines.keys(), loc="outside upper center", ncols=2)
