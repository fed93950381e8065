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
from defectdistill.trainings import rows_of

PREPARED, PAPER = place("--data") / "data/prepared", Path("paper.csv")
OUTPUT, REFERENCE, TITLE = Path("table"), "none", "What passes from teacher to student"


def trained(row: str, folders: list[Path], images: dict[str, np.ndarray], images_of: Images) -> Trained:
    """Ask all trainings of a row, and log each."""
    said = []
    for folder in folders:
        predictor, params = Predictor.load(folder / "models/student"), load_params(folder / "params.yaml")
        said.append({side: predictor(array).probabilities for side, array in images.items()})
        scores = classification_scores(said[-1]["test"], images_of.labels, images_of.classes)
        settings, tested = params.flat("student", "distill"), {f"test/{name}": value for name, value in scores.items()}
        log_row("ablation", row, folder / "models/student", settings, tested, params.tracking.required)
    return Trained(*(np.stack([each[side] for each in said]) for side in ("test", "unlabelled")))


def main() -> None:
    """Read the trainings in rows/ and the photographs, write table/."""
    params, paper = load_params(place("--data") / "params.yaml"), read_table(PAPER)
    folders, summary = rows_of(row["row"] for row in paper), read_json(PREPARED / "summary.json")
    set_up(params.compute.threads, "cpu", "fp32")
    arrays = {side: open_array(PREPARED / side / "images.npy") for side in ("test", "unlabelled")}
    groups = [[row["group"] for row in read_index(PREPARED / side)] for side in arrays]
    images = Images(labels_of(PREPARED / "test"), *groups, summary["classes"])
    rows = {row: trained(row, of, arrays, images) for row, of in tqdm(folders.items(), unit=" rows", disable=None)}
    scored = score_rows(rows, images, REFERENCE, params.evaluate.resamples, params.evaluate.seed).values()
    lines, seeds = [], len(rows[REFERENCE].test)
    for row, (values, difference) in zip(paper, ((of.values, of.difference) for of in scored), strict=True):
        lines.append(Line(row["row"], row["words"], len(groups[0]), values, numbers_of(row), difference, seeds))
    photographs = "drawn by a program" if summary["synthetic"] else "photographed"
    rests = f"{len(groups[0])} test images and {len(groups[1])} without a label, {photographs}; seeds a row: {seeds}"
    OUTPUT.mkdir(exist_ok=True)
    write_paper_table(OUTPUT, lines, TITLE, f"{rests}. {covered(seeds)}", "no teacher")


if __name__ == "__main__":
    run_stage("ablation", main, (str(OUTPUT),))
