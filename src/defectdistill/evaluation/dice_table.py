"""A table of distilled segmentation beside the paper's: mean Dice alone, distilled and of the teacher, size and speed.

As CSV, as Markdown with Dice per class, and as a picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.data.tables import write_table
from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.ablation import mean_over_seeds, possible
from defectdistill.evaluation.bootstrap import Estimate, interval, resample, seed_part
from defectdistill.evaluation.mask_scores import mask_scores
from defectdistill.evaluation.paper_table import ends, flat, written
from defectdistill.evaluation.report_words import number, signed
from defectdistill.evaluation.scores import metric_names

SIDES = {"alone": "Student alone", "distilled": "Distilled", "teacher": "Teacher"}


@dataclass(frozen=True)
class Network:
    """A network of the table: its name, and how many parameters it has and images it segments in a second."""

    name: str
    parameters: int
    speed: float


@dataclass(frozen=True)
class Experiment:
    """A row: the paper's `words`, the two networks, and by the names of SIDES the scores (an estimate by name).

    `difference` is distilled − alone, either side trained `trainings` times or more; `paper` what the paper gives: mean
    Dice by side, and `student_` and `teacher_` `parameters` (millions) and `fps`.
    """

    words: str
    student: Network
    teacher: Network
    scores: Mapping[str, Mapping[str, Estimate]]
    difference: Estimate
    trainings: int
    paper: Mapping[str, float]

    @property
    def stands_out(self) -> bool:
        """Whether the difference is outside the noise of images and seeds, which one training cannot tell."""
        ends = self.difference[1]
        return self.trainings > 1 and ends is not None and not ends[0] <= 0 <= ends[1]

    @property
    def ours(self) -> str:
        """The networks here, in words."""
        return f"{self.student.name} ← {self.teacher.name}"


def estimates(
    counts: Mapping[str, np.ndarray], groups: Sequence[str], classes: Sequence[str], rounds: int, seed: int
) -> tuple[dict[str, dict[str, Estimate]], Estimate]:
    """Return the scores of every side, a mean over its trainings, and distilled − alone, with 95 % intervals.

    `counts` is {side: (trainings, N, K + 1, 3)} as from `pixel_counts`. The intervals are those of `ablation`: images
    drawn by group, and the trainings of each side independently; with one training a side, images alone.
    """
    weights, found, drawn = resample(groups, rounds, seed), {}, {}
    for place, (side, trainings) in enumerate(counts.items(), start=1):
        each = [mask_scores(of, classes, weights) for of in trainings]
        once = [mask_scores(of, classes, np.ones((1, len(groups)))) for of in trainings]
        seeds = seed_part(len(trainings), len(weights), seed + place)
        both = {
            name: mean_over_seeds([of[name][0] for of in once], [of[name] for of in each], seeds) for name in once[0]
        }
        drawn[side] = {name: around for name, (_, around) in both.items()}
        found[side] = {
            name: (mean, possible(name, interval(around)) if len(weights) else None)
            for name, (mean, around) in both.items()
            if np.isfinite(mean)
        }
    change = found["distilled"]["mean_dice"][0] - found["alone"]["mean_dice"][0]
    around = drawn["distilled"]["mean_dice"] - drawn["alone"]["mean_dice"]
    return found, (change, interval(around) if len(weights) else None)


def write_dice_table(folder: Path, rows: Sequence[Experiment], classes: Sequence[str], title: str, note: str) -> None:
    """Write `table.csv`, `table.md` and `table.png` into `folder`, which must exist; `note` says what it rests on."""
    write_csv(folder / "table.csv", rows, classes)
    (folder / "table.md").write_text(markdown(rows, classes, title, note), encoding="utf-8")
    with style.remarked(note):
        draw(folder / "table.png", rows, title)


def write_csv(path: Path, rows: Sequence[Experiment], classes: Sequence[str]) -> None:
    """Write a row an experiment: every value with the ends of its interval, and the paper's."""
    names = ["mean_dice", "mean_iou", *(f"dice/{name}" for name in metric_names(classes))]
    scores = [f"{side}/{name}{end}" for side in SIDES for name in names for end in ("", "_low", "_high")]
    parts = [f"{side}_{what}" for side in ("student", "teacher") for what in ("parameters", "fps")]
    paper = [*SIDES, *parts]
    header = ["paper", "here", *scores, *(f"difference{end}" for end in ("", "_low", "_high")), *parts, "fps_ratio"]
    lines = []
    for row in rows:
        values = [end for side in SIDES for name in names for end in flat(row.scores[side].get(name))]
        networks = [text for of in (row.student, row.teacher) for text in (of.parameters, f"{of.speed:.2f}")]
        line = [row.words, row.ours, *values, *flat(row.difference), *networks]
        line.append(f"{row.student.speed / row.teacher.speed:.3f}")
        lines.append([*line, *(row.paper.get(name, "") for name in paper)])
    write_table(path, [*header, *(f"{name}_paper" for name in paper)], lines)


def markdown(rows: Sequence[Experiment], classes: Sequence[str], title: str, note: str) -> str:
    """Return both tables as Markdown: bold is a difference outside the noise, and nothing else."""
    heads = [f"{words}{end}" for words in SIDES.values() for end in ("", ", paper")]
    text = [f"**{title}**", "", "| Student ← teacher: paper | here | " + " | ".join(heads) + " | Gain |"]
    text.append("|---|---|" + "---:|" * (len(heads) + 1))
    for row in rows:
        cells = []
        for side in SIDES:
            cells += [written(row.scores[side].get("mean_dice")), number(row.paper.get(side))]
        gain = f"{signed(row.difference[0])} {ends(row.difference[1])}".strip()
        cells.append(f"**{gain}**" if row.stands_out else gain)
        text.append(f"| {row.words} | {row.ours} | " + " | ".join(cells) + " |")
    return "\n".join([*text, "", note, "", *sizes(rows), "", *per_class(rows, classes), ""])


def sizes(rows: Sequence[Experiment]) -> list[str]:
    """Return the lines of a table of parameters and speed, the paper's beside ours."""
    text = ["| Student ← teacher: here | Parameters, M | paper | Images a second | paper | Ratio | paper |"]
    text.append("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        student, teacher, paper = row.student, row.teacher, row.paper
        cells = [
            f"{student.parameters / 1e6:.2f} ← {teacher.parameters / 1e6:.2f}",
            f"{paper['student_parameters']:.2f} ← {paper['teacher_parameters']:.2f}",
            f"{student.speed:.1f} ← {teacher.speed:.1f}",
            f"{paper['student_fps']:.1f} ← {paper['teacher_fps']:.1f}",
            f"{student.speed / teacher.speed:.2f}",
            f"{paper['student_fps'] / paper['teacher_fps']:.2f}",
        ]
        text.append(f"| {row.ours} | " + " | ".join(cells) + " |")
    return text


def per_class(rows: Sequence[Experiment], classes: Sequence[str]) -> list[str]:
    """Return the lines of a table of Dice per class, one line a trained network."""
    names = metric_names(classes)
    text = ["| Dice | " + " | ".join(style.readable(name) for name in classes) + " | Mean | Mean IoU |"]
    text.append("|---|" + "---:|" * (len(names) + 2))
    lines = {}
    for row in rows:
        lines.setdefault(f"{row.student.name}, alone", row.scores["alone"])
        lines.setdefault(f"{row.teacher.name}, alone", row.scores["teacher"])
        lines[row.ours] = row.scores["distilled"]
    for words, scores in lines.items():
        cells = [*(f"dice/{name}" for name in names), "mean_dice", "mean_iou"]
        text.append(f"| {words} | " + " | ".join(number(scores.get(cell, (None,))[0]) for cell in cells) + " |")
    return text


def draw(path: Path, rows: Sequence[Experiment], title: str) -> None:
    """Draw mean Dice of each experiment, a point and an interval a side, with the paper's values."""
    with style.drawing(path, height=1.5 + 0.62 * len(rows)) as figure:
        axes = figure.subplots()
        for column, (side, words) in enumerate(SIDES.items()):
            colour, shift = style.MODEL_COLOURS[(1, 0, 2)[column]], 0.22 * (column - 1)
            for row, experiment in enumerate(rows):
                value, around = experiment.scores[side]["mean_dice"]
                axes.plot(value, row + shift, "o", color=colour, markersize=4.5, label=None if row else words)
                if around:
                    axes.plot(around, [row + shift] * 2, color=colour, linewidth=1.3)
                if side in experiment.paper:
                    label = "Paper" if not row and column == len(SIDES) - 1 else None
                    place = (experiment.paper[side], row + shift)
                    axes.plot(*place, "D", color=style.QUIET, markersize=4, fillstyle="none", label=label)
        axes.set_yticks(range(len(rows)), [row.ours.replace(" ← ", "\n← ") for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("Mean Dice")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
