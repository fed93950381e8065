"""What two classifiers say of the same images, side by side: the cable paper's Figures 4, 5, 7 and 8.

Every function takes `probs` as {model: (N, K)}, saves one PNG and returns its path. Deviations: both models share
one chart instead of two; single images are drawn as dots, because a box of five values hides how few they are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cbook import boxplot_stats
from matplotlib.patches import Patch
from sklearn import metrics

from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.scores import confusion
from defectdistill.probabilities import checked_probs, confidence, entropy

ALL = "All images"
_BEHIND_TEXT = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}


def plot_entropy(
    path: Path, probs: Mapping[str, np.ndarray], classes: Sequence[str], labels: np.ndarray | None = None
) -> Path:
    """Draw the average entropy (nats) per class and in all, a bar per model (Figure 4).

    Classes are the true ones where `labels` (int, (N,)) is given, else the predicted ones. At least one image.
    """
    rows = [*classes, ALL]
    with style.drawing(path, height=1.1 + 0.34 * len(probs) * len(rows)) as figure:
        axes = figure.subplots()
        style.horizontal_rows(axes, [style.readable(row, 18) for row in rows])
        limit = float(np.log(len(classes)))
        thickness = 0.76 / len(probs)
        for number, (model, values) in enumerate(_grouped(probs, classes, labels, entropy).items()):
            means = np.array([row.mean() if len(row) else 0.0 for row in values])
            places = np.arange(len(rows)) + (number - (len(probs) - 1) / 2) * thickness
            colour = style.MODEL_COLOURS[number]
            axes.barh(places, means, height=thickness * 0.9, color=colour, label=style.heading(model))
            for place, mean, row in zip(places, means, values, strict=True):
                text = f"{mean:.3f}   n = {len(row)}" if len(row) else "no image"
                axes.text(mean + 0.005 * limit, place, text, va="center", fontsize=8.5, bbox=_BEHIND_TEXT)
        axes.axvline(limit, color=style.QUIET, linewidth=1, linestyle=(0, (4, 3)))
        # Room on the right for the numbers of a bar that reaches the limit.
        axes.set_xlim(0, 1.22 * limit)
        axes.set_xlabel(f"Average entropy, nats (dashed: ln {len(classes)} = {limit:.3f}, every class equally likely)")
        figure.legend(loc="outside upper right", ncols=len(probs))
    return path


def plot_confidence(
    path: Path, probs: Mapping[str, np.ndarray], classes: Sequence[str], labels: np.ndarray | None = None
) -> Path:
    """Draw the confidence of the images as box plots per class and in all, a box per model, means marked (Figure 5).

    Classes are the true ones where `labels` (int, (N,)) is given, else the predicted ones. At least one image.
    Box: quartiles and median; whiskers: 1.5 interquartile ranges; dots: the single images; diamond: the mean.
    """
    rows = [*classes, ALL]
    with style.drawing(path, height=1.3 + 0.4 * len(probs) * len(rows)) as figure:
        axes = figure.subplots()
        style.horizontal_rows(axes, [style.readable(row, 18) for row in rows])
        thickness = 0.76 / len(probs)
        handles = []
        for number, (model, values) in enumerate(_grouped(probs, classes, labels, confidence).items()):
            colour = style.MODEL_COLOURS[number]
            places = np.arange(len(rows)) + (number - (len(probs) - 1) / 2) * thickness
            for place, row in zip(places, values, strict=True):
                _box(axes, row, place, thickness, colour)
            mean = values[-1].mean()
            axes.axvline(mean, color=colour, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
            handles.append(Patch(color=colour, label=f"{style.heading(model)} (mean of all {100 * mean:.1f} %)"))
        axes.set_xlim(min(1 / len(classes), 0.5) - 0.05, 1.03)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("Confidence (diamond: mean; dashed: mean of all images)")
        figure.legend(handles=handles, loc="outside upper right", ncols=len(probs))
    return path


def plot_roc(path: Path, probs: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str]) -> Path:
    """Draw the ROC curve of each class against the rest, with its AUC, a panel per model (Figure 7).

    `labels` is int (N,). A class with no image, or with every image, has no curve and is listed as such.
    """
    curves = {
        model: [_roc_curve(labels == index, model_probs[:, index], name) for index, name in enumerate(classes)]
        for model, model_probs in probs.items()
    }
    lines = max(sum(label.count("\n") + 1 for *_, label in rows) for rows in curves.values())
    with style.drawing(path, height=3.8 + 0.19 * lines) as figure:
        panels, legends = figure.subplots(2, len(probs), squeeze=False, height_ratios=(3.6, 0.2 + 0.19 * lines))
        for axes, below, (model, rows) in zip(panels, legends, curves.items(), strict=True):
            axes.plot([0, 1], [0, 1], color=style.QUIET, linewidth=1, linestyle=(0, (2, 3)))
            for index, (*curve, label) in enumerate(rows):
                # Thinner and thinner, so that curves that lie on each other all stay visible.
                width = 3.2 - 2.0 * index / max(1, len(classes) - 1)
                axes.plot(*curve, label=label, linewidth=width, clip_on=False, **style.class_line(index))
            axes.set(title=style.heading(model), xlabel="False positive rate", xlim=(0, 1), ylim=(0, 1), aspect="equal")
            below.axis("off")
            keys = axes.get_legend_handles_labels()
            # Out of the layout: a long legend would shrink the curves.
            below.legend(*keys, loc="upper left", fontsize=8, handlelength=3, borderpad=0).set_in_layout(False)
        panels[0].set_ylabel("True positive rate")
    return path


def plot_confusion(path: Path, probs: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str]) -> Path:
    """Draw the confusion matrices with counts and shares of their row, a panel per model (Figure 8).

    `labels` is int (N,). Panels stand side by side, from seven classes on one below the other.
    """
    stacked = len(classes) > 6
    shape = (len(probs), 1) if stacked else (1, len(probs))
    height = 6.3 * len(probs) if stacked else 3.8
    with style.drawing(path, height=height) as figure:
        panels = figure.subplots(*shape, squeeze=False).ravel()
        for number, (axes, (model, model_probs)) in enumerate(zip(panels, probs.items(), strict=True)):
            _matrix(axes, confusion(model_probs, labels, len(classes)))
            ticks = range(len(classes))
            names = [style.readable(name, 24 if stacked else 13) for name in classes]
            turned = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(classes) > 3 else {}
            axes.set_xticks(
                ticks, [style.readable(name, 32 if turned else 13) for name in classes], fontsize=8.5, **turned
            )
            axes.set_yticks(ticks, names if stacked or number == 0 else [""] * len(classes), fontsize=8.5)
            right = int((model_probs.argmax(axis=1) == labels).sum())
            axes.set(title=f"{style.heading(model)}: {right} of {len(labels)} right", xlabel="Predicted class")
            axes.set_ylabel("True class" if stacked or number == 0 else "")
    return path


def _grouped(probs, classes, labels, measure) -> dict[str, list[np.ndarray]]:
    """Return the measured values per class and, last, of all images, for every model."""
    grouped = {}
    for model, model_probs in probs.items():
        model_probs = checked_probs(model_probs)
        groups = model_probs.argmax(axis=1) if labels is None else np.asarray(labels)
        values = measure(model_probs)
        grouped[model] = [*(values[groups == index] for index in range(len(classes))), values]
    return grouped


def _box(axes: Axes, values: np.ndarray, place: float, thickness: float, colour: str) -> None:
    if len(values) == 0:
        axes.text(0.99, place, "no image", va="center", ha="right", fontsize=8.5, color=style.QUIET)
        return
    # A fixed pattern instead of random jitter: the same data gives the same bytes.
    spread = thickness * 0.3 * np.sin(2.4 * np.arange(len(values)))
    axes.plot(values, place + spread, "o", color=colour, markersize=3.5, alpha=0.5, markeredgewidth=0, zorder=3)
    # Not by Axes.boxplot: it reads every setting of matplotlib, which loads pyplot and, on a Mac, a window system.
    box = boxplot_stats(values)[0]
    line = {"color": colour, "linewidth": 1.3, "markersize": 6}
    half = thickness * 0.36
    for end, quartile in (("whislo", "q1"), ("whishi", "q3")):
        axes.plot([box[end], box[quartile]], [place, place], marker="|", markevery=[0], **line)
    axes.barh(
        place, box["q3"] - box["q1"], left=box["q1"], height=2 * half, fill=False, edgecolor=colour, linewidth=1.3
    )
    axes.plot([box["med"], box["med"]], [place - half, place + half], color=colour, linewidth=2.2)
    axes.plot(box["mean"], place, "D", markerfacecolor="white", markeredgecolor=colour, markersize=5.5, zorder=4)


def _roc_curve(positive: np.ndarray, score: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return false and true positive rates (both empty where there is no curve) and the legend's text."""
    if positive.all() or not positive.any():
        return np.array([]), np.array([]), style.readable(f"{name} (no curve: all or none of the images)", 40)
    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(positive, score)
    area = metrics.roc_auc_score(positive, score)
    return false_positive_rate, true_positive_rate, style.readable(f"{name} (AUC {area:.3f})", 40)


def _matrix(axes: Axes, counts: np.ndarray) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", length=0)
    size = 10.5 if len(counts) <= 6 else 7.5 if len(counts) <= 12 else 6
    for row, column in np.ndindex(counts.shape):
        share = f"\n{100 * shares[row, column]:.0f} %" if counts[row, column] and len(counts) <= 12 else ""
        ink = "white" if shares[row, column] > 0.6 else style.INK if counts[row, column] else style.QUIET
        axes.text(column, row, f"{counts[row, column]}{share}", ha="center", va="center", color=ink, fontsize=size)
