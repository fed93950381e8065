"""How far the percentages can be believed: reliability diagrams, and accuracy against the share that is answered.

Every function takes `probs` as {model: (N, K)} and int labels (N,), saves one PNG and returns its path.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.calibration import BINS, reliability
from defectdistill.evaluation.selective import HANDED_OVER, coverage_curve
from defectdistill.probabilities import confidence

_DASHED = {"color": style.QUIET, "linewidth": 1, "linestyle": (0, (4, 3))}
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}


def plot_reliability(
    path: Path, probs: Mapping[str, np.ndarray], calibrated: Mapping[str, np.ndarray] | None, labels: np.ndarray
) -> Path:
    """Draw accuracy against confidence in bins of equal width (Niculescu-Mizil and Caruana 2005), a panel per model.

    A second row shows the `calibrated` probabilities, if given. Above the bars stand the images of the bin; the line
    from a bar's end leads to the bin's mean confidence, so that its length is what the calibration error adds up.
    """
    rows = [("", probs)] if calibrated is None else [(" as it is", probs), (", calibrated", calibrated)]
    with style.drawing(path, height=0.5 + 3.0 * len(rows)) as figure:
        figure.get_layout_engine().set(wspace=0.06, hspace=0.04)  # "100 %" ends where the next panel's "0 %" begins
        panels = figure.subplots(len(rows), len(probs), squeeze=False, sharex=True, sharey=True)
        for axes_row, (words, group) in zip(panels, rows, strict=True):
            for number, (axes, (model, model_probs)) in enumerate(zip(axes_row, group.items(), strict=True)):
                _reliability(axes, reliability(model_probs, labels), style.MODEL_COLOURS[number])
                axes.set_title(f"{style.heading(model)}{words}")
            axes_row[0].set_ylabel("Right")
        for axes in panels[-1]:
            axes.set_xlabel("Confidence")
    return path


def plot_coverage(path: Path, probs: Mapping[str, np.ndarray], labels: np.ndarray) -> Path:
    """Draw the accuracy among the most certain images against their share, a line per model.

    On the right end every image is answered; going left, the least certain go to a person.
    """
    with style.drawing(path, height=3.4) as figure:
        axes = figure.subplots()
        lowest = 1.0
        for number, (model, model_probs) in enumerate(probs.items()):
            share, accuracy = coverage_curve(confidence(model_probs), model_probs.argmax(axis=1) == labels)
            line = {"color": style.MODEL_COLOURS[number], "label": style.heading(model), "linewidth": 2.6 - number}
            # An accuracy holds from its own share back to the one before: no image lies in between.
            axes.step(np.append(0, share), np.append(accuracy[0], accuracy), where="pre", clip_on=False, **line)
            lowest = min(lowest, accuracy.min())
        for handed in HANDED_OVER:
            axes.axvline(1 - handed / 100, **_DASHED)
        axes.set(xlim=(0, 1), ylim=(max(0.0, lowest - 0.08), 1.02))
        axes.set_xlabel("Share of the images that the model answers, the most certain first")
        axes.set_ylabel("Right among these")
        axes.xaxis.set_major_formatter(_per_cent)
        axes.yaxis.set_major_formatter(_per_cent)
        figure.legend(loc="outside upper right", ncols=len(probs))
    return path


def _reliability(axes: Axes, bins: Mapping[str, np.ndarray], colour: str) -> None:
    axes.plot([0, 1], [0, 1], **_DASHED)
    centres = (np.arange(BINS) + 0.5) / BINS
    filled = bins["images"] > 0
    axes.bar(centres[filled], bins["accuracy"][filled], width=0.92 / BINS, color=colour, alpha=0.35)
    for centre, images, sure, right in zip(centres, bins["images"], bins["confidence"], bins["accuracy"], strict=True):
        if not images:
            continue
        axes.plot([centre, centre], [right, sure], color=colour, linewidth=2)
        axes.plot([centre - 0.046, centre + 0.046], [right, right], color=colour, linewidth=2)
        axes.text(
            centre, max(right, sure) + 0.02, f"{images:.0f}", ha="center", va="bottom", fontsize=7.5, bbox=_BEHIND
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.12), xticks=np.linspace(0, 1, 5), yticks=np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(_per_cent)
    axes.yaxis.set_major_formatter(_per_cent)


def _per_cent(value: float, _: object = None) -> str:
    return f"{100 * value:.0f} %"
