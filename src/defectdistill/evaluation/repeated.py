"""Student against baseline over repeated trainings: splits (folds) and seeds, with a paired test that knows them.

Trainings of one split share their test photographs and are averaged first; splits share training photographs, so that
the usual t test would find too much: its variance is corrected (Nadeau and Bengio 2003, Machine Learning 52).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from defectdistill.evaluation import plot_style as style

LEVEL = 0.95
EQUAL = 1e-9  # differences nearer to each other than this are the same, but for the last bits


@dataclass(frozen=True)
class Training:
    """One complete run: which `split` and `seed`, in words, and what `student` and `baseline` reached there."""

    split: str
    seed: str
    student: float
    baseline: float


@dataclass(frozen=True)
class Comparison:
    """Means and standard deviations over `units` splits (over seeds, where there is one split), and the difference.

    `difference` is student − baseline with its interval [low, high]; `p_value` is two-sided; both are NaN for one unit,
    and where all units have the same difference: of few photographs that is chance, and no sign of how they vary.
    """

    units: int
    over: str
    trainings: int
    student: tuple[float, float]
    baseline: tuple[float, float]
    difference: float
    low: float
    high: float
    p_value: float


def compare(trainings: Sequence[Training], test_per_training_image: float) -> Comparison:
    """Compare over at least one training; `test_per_training_image` is what the correction needs, 0 switches it off."""
    by_split = defaultdict(list)
    for training in trainings:
        by_split[training.split].append((training.student, training.baseline))
    over = "splits" if len(by_split) > 1 else "seeds"
    units = [np.mean(pairs, axis=0) for pairs in by_split.values()] if over == "splits" else by_split.popitem()[1]
    values = np.array(units, dtype=float)  # (n, 2)
    count, differences = len(values), values[:, 0] - values[:, 1]
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if count > 1 else np.full(2, np.nan)
    low = high = p_value = np.nan
    if count > 1 and np.ptp(differences) > EQUAL:
        extra = test_per_training_image if over == "splits" else 0.0
        error = np.sqrt(differences.var(ddof=1) * (1 / count + extra))
        reach = stats.t.ppf((1 + LEVEL) / 2, count - 1) * error
        low, high = differences.mean() - reach, differences.mean() + reach
        p_value = 2 * stats.t.sf(abs(differences.mean()) / error, count - 1)
    pairs = [(float(mean[side]), float(spread[side])) for side in (0, 1)]
    ends = (float(differences.mean()), float(low), float(high), float(p_value))
    return Comparison(count, over, len(trainings), *pairs, *ends)


def plot_trainings(path: Path, trainings: Sequence[Training], metric: str) -> Path:
    """Draw a line from baseline to student for each training, one colour a split; returns the path of the PNG."""
    splits = sorted({training.split for training in trainings})
    with style.drawing(path, height=4.0) as figure:
        axes = figure.subplots()
        for training in trainings:
            line = style.class_line(splits.index(training.split))
            axes.plot([0, 1], [training.baseline, training.student], marker="o", markersize=4, alpha=0.8, **line)
        for index, split in enumerate(splits):
            axes.plot([], [], label=split, **style.class_line(index))
        axes.set_xticks([0, 1], ["Baseline", "Student"])
        axes.set_xlim(-0.3, 1.3)
        axes.set_ylabel(style.readable(metric))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        axes.set_title("Every line is one split and seed")
    return path
