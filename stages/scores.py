"""Set the scores of several evaluations beside the paper's: `scores.py TITLE`, with the rows in paper.csv."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.paper_table import WORDS, Line, numbers_of, write_paper_table
from defectdistill.stage import run_stage

PAPER, OUTPUT = Path("paper.csv"), Path("table")
UNLABELLED = ("average_entropy", "average_confidence")


def line_of(row: dict[str, str]) -> Line:
    """Return the row of the table for the `model` that the file `evaluation` of a row speaks of."""
    scored = read_json(Path(row["evaluation"]))[row["model"]]
    ours = {}
    for name in WORDS:
        side = "unlabelled" if name in UNLABELLED else "test"
        if name in scored[side]:
            ours[name] = scored[side][name], scored["intervals"].get(side, {}).get(name)
    return Line(row["row"], row["words"], scored["test"]["images"], ours, numbers_of(row))


def main() -> None:
    """Read the evaluations, write table/."""
    lines = [line_of(row) for row in read_table(PAPER)]
    synthetic = {read_json(Path(row["evaluation"]))["data"]["synthetic"] for row in read_table(PAPER)}
    note = "Photographs drawn by a program. " * any(synthetic) + "Intervals: 95 %, over the test images."
    OUTPUT.mkdir(exist_ok=True)
    write_paper_table(OUTPUT, lines, sys.argv[1], note, against="")


if __name__ == "__main__":
    run_stage("scores", main, (str(OUTPUT),))
