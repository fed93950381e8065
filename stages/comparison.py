"""Score every row of a comparison of classifiers, and set the table beside the paper's: `comparison.py NAME`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from tqdm import tqdm

from defectdistill.data.packed import labels_of, open_array, read_index
from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.ablation import Images
from defectdistill.evaluation.comparison import TEACHER, Answers, ask, ask_row, joined, read_comparison, with_speed
from defectdistill.evaluation.comparison_table import write_comparison
from defectdistill.evaluation.scores import classification_scores
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import log_row
from defectdistill.training.compute import set_up
from defectdistill.trainings import rows_of

PREPARED, MODEL = place("--data") / "data/prepared", place("--teacher") / "models/teacher"
PAPER, ASKED, OUTPUT = Path("paper.csv"), Path("rows.yaml"), Path("table")


def trained(row: str, folders: list[Path], teacher: Answers, images: dict, known: Images) -> Answers:
    """Ask all trainings of a row, and log each."""
    found = []
    for folder in folders:
        params = load_params(folder / "params.yaml")
        found.append(ask_row(folder, teacher, params.distill.temperature, images))
        scores = classification_scores(found[-1].probs[0], known.labels, known.classes) | found[-1].beside
        settings, tested = params.flat("student", "distill"), {f"test/{name}": value for name, value in scores.items()}
        log_row(sys.argv[1], row, folder / "models/student", settings, tested, params.tracking.required)
    return joined(found)


def main() -> None:
    """Read the trainings in rows/ and models/teacher, and the images, write table/."""
    params, paper, summary = load_params(), read_table(PAPER), read_json(PREPARED / "summary.json")
    table = read_comparison(ASKED, [row["row"] for row in paper])
    folders = rows_of(row["row"] for row in paper if row["row"] != TEACHER)
    set_up(params.compute.threads, "cpu", "fp32")
    test, train = (np.array(open_array(PREPARED / split / "images.npy")) for split in ("test", "train"))
    images = {"test": test, "train": train, "labels": labels_of(PREPARED / "train")}
    groups = [row["group"] for row in read_index(PREPARED / "test")]
    known = Images(labels_of(PREPARED / "test"), groups, [], summary["classes"])
    rows = {TEACHER: ask(MODEL, **images)}
    for row, of in tqdm(folders.items(), unit=" rows", disable=None):
        rows[row] = trained(row, of, rows[TEACHER], images, known)
    if "images_per_second" in table.columns:
        rows = with_speed(rows, summary["size"])
    OUTPUT.mkdir(exist_ok=True)
    write_comparison(OUTPUT, table, paper, rows, known, summary, params.evaluate.resamples, params.evaluate.seed)


if __name__ == "__main__":
    run_stage("comparison", main, (str(OUTPUT),))
