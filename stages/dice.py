"""Set mean Dice, size and speed of segmentation students beside the paper's: `dice.py TITLE`, the rows in paper.csv."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np

from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.ablation import covered
from defectdistill.evaluation.dice_rows import ask, folders_of
from defectdistill.evaluation.dice_table import SIDES, Experiment, estimates, write_dice_table
from defectdistill.evaluation.mask_scores import pixel_counts
from defectdistill.evaluation.masked_images import masked_images
from defectdistill.params import Params, load_params
from defectdistill.stage import run_stage
from defectdistill.training.compute import set_up
from defectdistill.trainings import require_alike

PREPARED, PAPER, OUTPUT = Path("data/prepared"), Path("paper.csv"), Path("table")
FACTS = 4  # columns of paper.csv before its numbers: words, and where the models of each side are


def main(params: Params, title: str) -> None:
    """Read the models that paper.csv names, write table/."""
    paper = read_table(PAPER)
    models = [folders_of(row) for row in paper]
    for side in (of[side] for of in models for side in SIDES):
        require_alike([model.parents[1] for model in side], side[0].name)
    summary, test = read_json(PREPARED / "summary.json"), masked_images(PREPARED / "test")
    machine, classes = set_up(params.compute.threads, params.compute.accelerator, "fp32"), summary["classes"]
    folders = {folder for row in models for of in row.values() for folder in of}
    found, networks = ask(folders, test.images, params.evaluate.batch_size, machine.device)
    experiments, drawing = [], (params.evaluate.resamples, params.evaluate.seed)
    for row, of in zip(paper, models, strict=True):
        counts = {side: np.stack([pixel_counts(found[f], test.true, len(classes)) for f in of[side]]) for side in SIDES}
        numbers = {name: float(value) for name, value in list(row.items())[FACTS:] if value}
        measured = estimates(counts, test.groups, classes, *drawing)
        trained = min(len(of[side]) for side in ("alone", "distilled"))
        pair = (networks[of[side][0]] for side in list(SIDES)[1:])
        experiments.append(Experiment(row["words"], *pair, *measured, trained, numbers))
    drawn = "drawn by a program" if summary["synthetic"] else "photographed"
    rests = f"{len(test.true)} test images, {drawn}, {summary['size']} px"
    fewest = min(experiment.trainings for experiment in experiments)
    note = f"{rests}; trainings a row: {fewest}. {covered(fewest)} Speed: one image at a time, {machine.device}."
    OUTPUT.mkdir(exist_ok=True)
    write_dice_table(OUTPUT, experiments, classes, title, note)


if __name__ == "__main__":
    run_stage("dice", lambda: main(load_params(), sys.argv[1]), (str(OUTPUT),))
