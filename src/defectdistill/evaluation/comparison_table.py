"""Writes the table of a comparison (see `comparison.py`): values with intervals, the paper's, pictures, answers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.evaluation.ablation import Images, Scored, Trained, covered, score_rows
from defectdistill.evaluation.bootstrap import Estimate
from defectdistill.evaluation.comparison import BESIDE, TEACHER, Answers, Table, confused, verdict
from defectdistill.evaluation.paper_table import Line, numbers_of, write_paper_table
from defectdistill.evaluation.plot_style import remarked
from defectdistill.evaluation.plots import plot_confusion
from defectdistill.evaluation.scores import classification_scores


def write_comparison(
    folder: Path,
    table: Table,
    paper: Sequence[Mapping[str, str]],
    rows: Mapping[str, Answers],
    images: Images,
    summary: Mapping[str, Any],
    rounds: int,
    seed: int,
) -> None:
    """Write table.csv, table.md, table.png and confusion.png into `folder`, which must exist.

    `paper` are the rows of paper.csv, in their order; `rows` what each says; `images` the test images; `summary` the
    prepared data's; `rounds` resamples are drawn with `seed`. Raises ValueError for a column that there is not.
    """
    missing = [name for name in table.columns if name not in BESIDE and name not in known_scores(images)]
    if missing:
        raise ValueError(
            f"rows.yaml asks for the columns {missing}: expected some of {', '.join([*BESIDE, *known_scores(images)])}"
        )
    said, drawn = same_seeds(rows, table.reference), table.columns[table.drawn]
    scored = score_rows(said, images, table.reference, rounds, seed, table.scores(), table.drawn)
    lines = [line_of(row, scored[row["row"]], rows[row["row"]], table, images) for row in paper]
    words = {row["row"]: row["words"] for row in paper}
    seeds = len(said[table.reference].test)
    note = describe(summary, images, seeds)
    write_paper_table(folder, lines, table.title, note, words[table.reference], table.columns, table.drawn)
    shown = {row: rows[row].probs for row in table.confusion}
    with remarked("Drawn by a program; first seed" if summary["synthetic"] else "First seed"):
        first = {words[row]: probs[0] for row, probs in shown.items()}
        plot_confusion(folder / "confusion.png", first, images.labels, images.classes)
    remarks = [confused(words[row], probs, images.labels, images.classes) for row, probs in shown.items()]
    if asked := table.question:
        pair = {name: said[name] for name in (asked.row, asked.against)}
        compared = score_rows(pair, images, asked.against, rounds, seed, table.scores(), table.drawn)[asked.row]
        remarks.append(verdict(asked, compared, drawn, seeds))
    with (folder / "table.md").open("a", encoding="utf-8") as file:
        file.write("\n" + "".join(f"{remark}\n\n" for remark in remarks))


def known_scores(images: Images) -> list[str]:
    """Return the names of the scores that a table may show."""
    perfect = np.eye(len(images.classes))[images.labels]
    return list(classification_scores(perfect, images.labels, images.classes))


def same_seeds(rows: Mapping[str, Answers], reference: str) -> dict[str, Trained]:
    """Return the answers with as many seeds each as the reference has: the teacher, trained once, stands for each."""
    seeds, found = len(rows[reference].probs), {}
    for name, row in rows.items():
        probs = np.repeat(row.probs, seeds, axis=0) if name == TEACHER else row.probs
        found[name] = Trained(probs, np.empty((len(probs), 0, probs.shape[2])))
    return found


def line_of(row: Mapping[str, str], scored: Scored, said: Answers, table: Table, images: Images) -> Line:
    """Return a line of the table."""
    beside: dict[str, Estimate] = {name: (value, None) for name, value in said.beside.items() if name in table.columns}
    paper = numbers_of(row, table.columns)
    values, seeds = scored.values | beside, len(said.probs)  # of the teacher one, whatever the rows have
    return Line(row["row"], row["words"], len(images.labels), values, paper, scored.difference, seeds)


def describe(summary: Mapping[str, Any], images: Images, seeds: int) -> str:
    """Return on what the table rests, in a sentence or two."""
    learned = sum(summary["counts"]["train"].values())
    source = "drawn by a program" if summary["synthetic"] else "photographed"
    rests = f"{learned} images to learn from, {len(images.labels)} to test, {source}; seeds a row: {seeds}"
    return f"{rests}. {covered(seeds)}"
