"""Set mean Dice, size and speed of segmentation students beside the paper's: `dice.py TITLE`, the rows in paper.csv."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import numpy as np
from tqdm import tqdm

from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.dice_table import SIDES, Experiment, Network, estimates, write_dice_table
from defectdistill.evaluation.mask_scores import pixel_counts
from defectdistill.evaluation.masked_images import masked_images
from defectdistill.evaluation.speed import frames_per_second
from defectdistill.models.resunet import name_of
from defectdistill.models.segmenter import Segmenter, load_segmentation
from defectdistill.params import Params, load_params
from defectdistill.stage import run_stage
from defectdistill.training.compute import Machine, set_up

PREPARED, PAPER, OUTPUT = Path("data/prepared"), Path("paper.csv"), Path("table")
FACTS = 4  # columns of paper.csv before its numbers: words, and where the models of each side are


def networks_in(folders: list[Path], side: int, machine: Machine) -> dict[Path, Network]:
    """Return the network in each folder, measured once for each of its kind."""
    loaded = {folder: load_segmentation(folder) for folder in folders}
    names = {folder: name_of(config.resunet) for folder, (_, config) in loaded.items()}
    kinds = {names[folder]: network for folder, (network, _) in loaded.items()}
    speeds = frames_per_second(kinds, side, machine.device)
    sizes = {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in kinds.items()}
    return {folder: Network(name, sizes[name], speeds[name]) for folder, name in names.items()}


def main(params: Params, title: str) -> None:
    """Read the models that paper.csv names, write table/."""
    summary, paper, test = read_json(PREPARED / "summary.json"), read_table(PAPER), masked_images(PREPARED / "test")
    machine, classes = set_up(params.compute.threads, params.compute.accelerator, "fp32"), summary["classes"]
    models = [{side: sorted(Path().glob(row[f"{side}_models"])) for side in SIDES} for row in paper]
    folders = sorted({folder for row in models for of in row.values() for folder in of})
    found = {
        f: Segmenter.load(f, params.evaluate.batch_size).label_maps(test.images) for f in tqdm(folders, disable=None)
    }
    networks, experiments = networks_in(folders, summary["size"], machine), []
    drawing = (params.evaluate.resamples, params.evaluate.seed)
    for row, of in zip(paper, models, strict=True):
        counts = {side: np.stack([pixel_counts(found[f], test.true, len(classes)) for f in of[side]]) for side in SIDES}
        numbers = {name: float(value) for name, value in list(row.items())[FACTS:] if value}
        measured = estimates(counts, test.groups, classes, *drawing)
        experiments.append(Experiment(row["words"], *(networks[of[s][0]] for s in list(SIDES)[1:]), *measured, numbers))
    drawn = "drawn by a program" if summary["synthetic"] else "photographed"
    rests = (
        f"{len(test.true)} test images, {drawn}, {summary['size']} px; trainings a row: {len(models[0]['distilled'])}"
    )
    OUTPUT.mkdir(exist_ok=True)
    note = f"{rests}. Speed: one image at a time, {machine.device}."
    write_dice_table(OUTPUT, experiments, classes, title, note)


if __name__ == "__main__":
    run_stage("dice", lambda: main(load_params(), sys.argv[1]), (str(OUTPUT),))
