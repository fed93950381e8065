"""Score every row of an ablation over its seeds, and set the table beside the paper's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from tqdm import tqdm

from defectdistill.data.packed import labels_of, open_array, read_index
from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.ablation import Images, Trained, covered, score_rows
from defectdistill.evaluation.paper_table import Line, numbers_of, write_paper_table
from defectdistill.evaluation.scores import classification_scores
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.predict import Predictor
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import log_row
from defectdistill.training.compute import set_up

PREPARED, ROWS, PAPER = place("--data") / "data/prepared", Path("rows"), Path("paper.csv")
OUTPUT, REFERENCE, TITLE = Path("table"), "none", "What passes from teacher to student"


def trained(row: str, images: dict[str, np.ndarray], images_of: Images) -> Trained:
    """Ask all trainings of a row, and log each."""
    said = {side: [] for side in images}
    for folder in sorted(ROWS.glob(f"{row}-*"), key=lambda path: int(path.name.removeprefix(f"{row}-"))):
        predictor, params = Predictor.load(folder / "models/student"), load_params(folder / "params.yaml")
        for side, array in images.items():
            said[side].append(predictor(array).probabilities)
        scores = classification_scores(said["test"][-1], images_of.labels, images_of.classes)
        settings, tested = params.flat("student", "distill"), {f"test/{name}": value for name, value in scores.items()}
        log_row("ablation", row, folder / "models/student", settings, tested, params.tracking.required)
    return Trained(np.stack(said["test"]), np.stack(said["unlabelled"]))


def main() -> None:
    """Read the trainings in rows/ and the photographs, write table/."""
    params, summary = load_params(place("--data") / "params.yaml"), read_json(PREPARED / "summary.json")
    set_up(params.compute.threads, "cpu", "fp32")
    arrays = {side: open_array(PREPARED / side / "images.npy") for side in ("test", "unlabelled")}
    groups = [[row["group"] for row in read_index(PREPARED / side)] for side in arrays]
    images, paper = Images(labels_of(PREPARED / "test"), *groups, summary["classes"]), read_table(PAPER)
    rows = {row["row"]: trained(row["row"], arrays, images) for row in tqdm(paper, unit=" rows", disable=None)}
    scored = score_rows(rows, images, REFERENCE, params.evaluate.resamples, params.evaluate.seed)
    lines, seeds = [], len(rows[REFERENCE].test)
    for row in paper:
        ours, facts = scored[row["row"]], (row["row"], row["words"], len(groups[0]))
        lines.append(Line(*facts, ours.values, numbers_of(row), ours.difference, seeds))
    photographs = "drawn by a program" if summary["synthetic"] else "photographed"
    rests = f"{len(groups[0])} test images and {len(groups[1])} without a label, {photographs}; seeds a row: {seeds}"
    OUTPUT.mkdir(exist_ok=True)
    write_paper_table(OUTPUT, lines, TITLE, f"{rests}. {covered(seeds)}", "no teacher")


if __name__ == "__main__":
    run_stage("ablation", main, (str(OUTPUT),))
