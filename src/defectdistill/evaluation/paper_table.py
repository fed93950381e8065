"""A table in the paper's order, the paper's value beside ours: as CSV, as Markdown, and as a picture."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from defectdistill.data.tables import write_table
from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.bootstrap import Estimate, Interval
from defectdistill.evaluation.report_words import number, signed, span

WORDS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro-F1",
    "loss": "Loss",
    "average_entropy": "Entropy",
    "average_confidence": "Confidence",
}
DRAWN = "macro_f1"
LARGE = 100.0  # from here on a value stands without decimals


@dataclass(frozen=True)
class Line:
    """A row of the table: its name and words, on how many test `images` it rests, `ours` and the `paper`'s values by
    column, and how the column that is drawn differs.

    `difference` (with its interval) is ours, from the row that it is compared with; `seeds` of the row are behind it.
    """

    name: str
    words: str
    images: int
    ours: Mapping[str, Estimate]
    paper: Mapping[str, float] = field(default_factory=dict)
    difference: Estimate | None = None
    seeds: int = 1

    @property
    def stands_out(self) -> bool:
        """Whether the difference is outside the noise of images and seeds: its interval does not hold 0.

        One seed cannot tell: another might make as much of a difference.
        """
        ends = self.difference and self.difference[1]
        return self.seeds > 1 and ends is not None and not ends[0] <= 0 <= ends[1]


def numbers_of(row: Mapping[str, str], columns: Iterable[str] = WORDS) -> dict[str, float]:
    """Return the paper's values that a row of a CSV holds, by column; an empty cell is none."""
    return {name: float(row[name]) for name in columns if row.get(name)}


def write_paper_table(
    folder: Path,
    lines: Sequence[Line],
    title: str,
    note: str,
    against: str,
    words: Mapping[str, str] = WORDS,
    drawn: str = DRAWN,
) -> None:
    """Write `table.csv`, `table.md` and `table.png` into `folder`, which must exist.

    `note` says on what the table rests; `against` names what differences are taken from, in words, '' where there are
    none. `words` are the columns in their order and what they are called; `drawn` is the one that the picture shows
    and that differences are of.
    """
    columns = [name for name in words if any(name in line.ours or name in line.paper for line in lines)]
    write_csv(folder / "table.csv", lines, columns, drawn)
    text = markdown(lines, {name: words[name] for name in columns}, title, note, against, words[drawn])
    (folder / "table.md").write_text(text, encoding="utf-8")
    with style.remarked(note):
        draw(folder / "table.png", lines, title, against, drawn, words[drawn])


def write_csv(path: Path, lines: Sequence[Line], columns: Sequence[str], drawn: str) -> None:
    """Write one row a line: every value with the ends of its interval, and the paper's."""
    header = [
        "row",
        "words",
        "test_images",
        *(f"{name}{end}" for name in columns for end in ("", "_low", "_high", "_paper")),
    ]
    rows = []
    for line in lines:
        row: list[object] = [line.name, line.words, line.images]
        for name in columns:
            row += [*flat(line.ours.get(name)), line.paper.get(name, "")]
        rows.append([*row, *flat(line.difference), "yes" if line.stands_out else ""])
    more = [f"{drawn}_difference{end}" for end in ("", "_low", "_high")]
    write_table(path, [*header, *more, "stands_out"], rows)


def flat(estimate: Estimate | None) -> list[object]:
    """Return value, low and high, '' for what is not known."""
    if estimate is None:
        return ["", "", ""]
    value, ends = estimate
    return [f"{value:.6f}", *([f"{end:.6f}" for end in ends] if ends else ["", ""])]


def markdown(lines: Sequence[Line], columns: Mapping[str, str], title: str, note: str, against: str, drawn: str) -> str:
    """Return the table as Markdown: bold is a difference outside the noise, and nothing else.

    The paper's columns stand where it has a value in one of the lines; `drawn` says of what the differences are.
    """
    known = {name for line in lines for name in line.paper}
    heads = [head for name, words in columns.items() for head in (words, f"{words}, paper")[: 1 + (name in known)]]
    heads += [f"{drawn} against {against}"] if against else []
    text = [f"**{title}**", "", "| | Test images | " + " | ".join(heads) + " |"]
    text.append("|---|---:|" + "---:|" * len(heads))
    for line in lines:
        cells = []
        for name in columns:
            cells += [written(line.ours.get(name)), number(line.paper.get(name))][: 1 + (name in known)]
        if against:
            value = (
                "–" if line.difference is None else f"{signed(line.difference[0])} {ends(line.difference[1])}".strip()
            )
            cells.append(f"**{value}**" if line.stands_out else value)
        text.append(f"| {line.words} | {line.images} | " + " | ".join(cells) + " |")
    return "\n".join([*text, "", note, ""])


def written(estimate: Estimate | None) -> str:
    """Return a value with its interval in brackets, a dash where there is none."""
    if estimate is None:
        return "–"
    value = number(estimate[0]) if estimate[0] < LARGE else f"{estimate[0]:.0f}"
    return f"{value} {ends(estimate[1])}".strip()


def ends(interval: Interval | None) -> str:
    """Return `(low to high)`, '' for None."""
    return f"({span(interval)})" if interval else ""


def draw(path: Path, lines: Sequence[Line], title: str, against: str, drawn: str, words: str) -> None:
    """Draw one column of each row with its interval and the paper's value, and beside it how it differs."""
    with style.drawing(path, height=1.1 + 0.27 * len(lines)) as figure:
        panels = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2)) if against else [figure.subplots()]
        draw_estimates(panels[0], [line.ours.get(drawn) for line in lines], style.MODEL_COLOURS[0], "Here")
        known = [(line.paper[drawn], row) for row, line in enumerate(lines) if drawn in line.paper]
        if known:
            panels[0].plot(
                *zip(*known, strict=True), "D", color=style.QUIET, markersize=4, fillstyle="none", label="Paper"
            )
        panels[0].set_yticks(range(len(lines)), [line.words for line in lines])
        panels[0].set_ylim(len(lines) - 0.5, -0.5)
        panels[0].set_xlabel(words)
        panels[0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        if against:
            draw_estimates(panels[1], [line.difference for line in lines], style.MODEL_COLOURS[1], None)
            panels[1].axvline(0, color=style.QUIET, linewidth=0.9)
            panels[1].xaxis.set_major_locator(MaxNLocator(nbins=3))
            panels[1].set_xlabel(textwrap.fill(f"Difference from {against}", 20))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")


def draw_estimates(axes: Axes, estimates: Sequence[Estimate | None], colour: str, label: str | None) -> None:
    """Draw values with their intervals, one a row; rows without one stay empty."""
    shown = [(row, *estimate) for row, estimate in enumerate(estimates) if estimate is not None]
    axes.plot(
        [value for _, value, _ in shown], [row for row, _, _ in shown], "o", color=colour, markersize=4, label=label
    )
    for row, _, interval in shown:
        if interval:
            axes.plot(interval, [row, row], color=colour, linewidth=1.3)
