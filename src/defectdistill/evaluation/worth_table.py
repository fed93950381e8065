"""The table of what distilling is worth: every training as CSV, means and differences as Markdown and picture."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from defectdistill.data.tables import write_table
from defectdistill.evaluation import plot_style as style
from defectdistill.evaluation.report_words import number, signed
from defectdistill.evaluation.worth import MEASURES, UNCALIBRATED, Measured, Paired, Place, means

CALIBRATION = (
    " A calibration error is too large where images are few, and more so of the less certain model: its differences "
    "have no interval."
)
HEADS = ("row", "split", "seed", *MEASURES)


def write_worth(
    folder: Path,
    trained: Mapping[Place, Measured],
    found: Sequence[Paired],
    words: Mapping[str, str],
    summaries: Sequence[Mapping[str, Any]],
    masks: Sequence[Sequence[int]],
) -> None:
    """Write `trainings.csv`, `table.md` and `table.png` into `folder`, which must exist.

    `words` names each row, in order; `summaries` are the summary.json of all splits, `masks` how many photographs that
    are learned from have one, in each split of each arm.
    """
    places = sorted(trained, key=lambda place: (list(words).index(place.row), place.split, place.seed))
    rows = [
        (place.row, place.split, place.seed, *(written(trained[place].get(name)) for name in MEASURES))
        for place in places
    ]
    write_table(folder / "trainings.csv", HEADS, rows)
    note = remark(summaries, masks, trained)
    (folder / "table.md").write_text("\n".join(markdown(trained, found, words, note)) + "\n", encoding="utf-8")
    with style.remarked(note):
        draw(folder / "table.png", trained, found, words)


def written(value: float | None) -> str:
    """Return a number with six decimals, nothing for None."""
    return "" if value is None else f"{value:.6f}"


def remark(
    summaries: Sequence[Mapping[str, Any]], masks: Sequence[Sequence[int]], trained: Mapping[Place, Measured]
) -> str:
    """Return on what the table rests."""
    sides = {side: ranged([sum(of["counts"][side].values()) for of in summaries]) for side in summaries[0]["counts"]}
    splits, seeds = ({getattr(place, name) for place in trained} for name in ("split", "seed"))
    repeated = f"{counted(splits, 'split')}, {counted(seeds, 'seed')}"
    return (
        f"{'Drawn by a program. ' * summaries[0]['synthetic']}{repeated}; each split: "
        f"{sides['train']} to learn from, {' or '.join(map(ranged, masks))} of them with a mask, "
        f"{ranged([of['unlabelled'] for of in summaries])} without a label, {sides['val']} to validate, "
        f"{sides['test']} to test."
        f"{CALIBRATION * any('calibration_error' in of for of in trained.values())}"
        f"{uncalibrated(trained.values())}"
        f"{' All on the same test photographs: others may say otherwise.' * (len(splits) == 1)}"
    )


def uncalibrated(trained: Iterable[Measured]) -> str:
    """Return how many students have no temperature; '' where all have one."""
    told = [of[UNCALIBRATED] for of in trained if UNCALIBRATED in of]
    if not any(told):
        return ""
    return (
        f" {int(sum(told))} of {len(told)} students were right about all validation photographs: no temperature can be "
        "learned from these, and calibrated they are as they were."
    )


def ranged(numbers: Sequence[int]) -> str:
    """Return one number, or from the smallest to the largest: `60`, `58 to 61`."""
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def counted(things: set[int], noun: str) -> str:
    """Return how many things there are, in words: `1 seed`, `3 seeds`."""
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"


def markdown(
    trained: Mapping[Place, Measured], found: Sequence[Paired], words: Mapping[str, str], note: str
) -> list[str]:
    """Return the lines of both tables: bold is a difference whose interval does not hold zero, and nothing else."""
    lines = ["| | " + " | ".join(MEASURES.values()) + " |", "|---|" + "---:|" * len(MEASURES)]
    for row, text in words.items():
        values = means(trained, row)
        lines.append(f"| {text} | " + " | ".join(number(values.get(name)) for name in MEASURES) + " |")
    lines += ["", "| | against | by | difference (95 % interval) | p | errors |", "|---|---|---|---:|---:|---:|"]
    for pair in found:
        of = pair.found
        value = signed(of.difference) + (f" ({signed(of.low)} to {signed(of.high)})" if np.isfinite(of.low) else "")
        p_value = "" if np.isnan(of.p_value) or of.over == "seeds" else f"{of.p_value:.3g}"
        ratio = "" if pair.error_ratio is None else f"{pair.error_ratio:.2f} times"
        lines.append(
            f"| {words[pair.row]} | {words[pair.reference]} | {MEASURES[pair.measure]} | "
            f"{f'**{value}**' if stands_out(pair) else value} | {p_value} | {ratio} |"
        )
    return [*lines, "", note]


def stands_out(pair: Paired) -> bool:
    """Whether the interval of a difference does not hold zero; of one split it says nothing of other photographs."""
    return pair.found.over == "splits" and bool(pair.found.low > 0 or pair.found.high < 0)


def draw(path: Path, trained: Mapping[Place, Measured], found: Sequence[Paired], words: Mapping[str, str]) -> None:
    """Draw macro-F1 of every training, a colour a split, and beside it the differences with their intervals."""
    rows = list(words)
    shown = [pair for pair in found if pair.measure == "macro_f1"]
    with style.drawing(path, height=1.6 + 0.34 * (len(rows) + len(shown))) as figure:
        above, below = figure.subplots(2, 1, height_ratios=(len(rows) + 0.8, len(shown) + 0.8))
        for split in sorted({place.split for place in trained}):
            own = [place for place in trained if place.split == split]
            offsets = [rows.index(place.row) + 0.12 * (split % 5 - 2) for place in own]
            colour = style.class_line(split)["color"]
            values = [trained[place].get("macro_f1", np.nan) for place in own]
            above.plot(values, offsets, "o", color=colour, markersize=3.5, alpha=0.8, label=f"split {split}")
        for position, row in enumerate(rows):
            above.plot([means(trained, row).get("macro_f1", np.nan)] * 2, [position - 0.35, position + 0.35],
                       color=style.INK, linewidth=1.2)  # fmt: skip
        above.set_yticks(range(len(rows)), [words[row] for row in rows])
        above.set_ylim(len(rows) - 0.5, -0.5)
        above.set_title("Macro-F1 of every training; line: the mean")
        above.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
        for position, pair in enumerate(shown):
            of = pair.found
            below.plot([of.low, of.high], [position] * 2, color=style.MODEL_COLOURS[1], linewidth=1.4)
            below.plot([of.difference], [position], "o", color=style.MODEL_COLOURS[1], markersize=4)
        below.axvline(0, color=style.QUIET, linewidth=0.9)
        labels = [f"{words[pair.row]}\nless {words[pair.reference]}" for pair in shown]
        below.set_yticks(range(len(shown)), labels, fontsize=8)
        below.set_ylim(len(shown) - 0.5, -0.5)
        below.xaxis.set_major_locator(MaxNLocator(nbins=5))
        below.set_title("Paired difference of macro-F1, 95 % interval")
