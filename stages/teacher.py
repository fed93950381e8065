"""Train the teacher on the augmented training images: U-Net3+ on their masks, or a classifier on their labels."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.data.packed import labels_of
from defectdistill.data.tables import read_json
from defectdistill.evaluation.mask_sheet import mask_sheet
from defectdistill.models.segmenter import Segmenter
from defectdistill.params import Params, load_params
from defectdistill.places import place
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.compute import set_up
from defectdistill.training.fit import LIMITS, fit
from defectdistill.training.length import lengthened
from defectdistill.training.once import Work, train_once
from defectdistill.training.segmentation_teacher import warn_of_little_to_teach

DATA = place("--data") / "data"
TRAIN, VAL, LEARNED = DATA / "augmented", DATA / "prepared/val", DATA / "prepared/learned.json"
MODEL, METRICS = Path("models/teacher"), Path("metrics/teacher")
OUTPUTS = ("models/teacher", "metrics/teacher", "metrics/runs/teacher.json")


def train(params: Params, work: Work) -> None:
    """Write the teacher, its history and, of a segmentation network, a picture."""
    data, machine = read_json(LEARNED), set_up(**params.compute.model_dump())
    section = params.teacher
    settings = lengthened(section.model_dump(), TRAIN, synthetic=data["synthetic"], masked_only=section.masked_only)
    kind = importlib.import_module(f"defectdistill.training.teachers.{params.teacher.network}")
    with stage_run("teacher", work.settings, params.tracking.required, work.run) as run:
        teaching = kind.teaching(settings, data, TRAIN, VAL, machine.on_gpu)
        kept = {name: settings[name] for name in LIMITS} | {"folder": work.folder, "history": METRICS / "history.csv"}
        training = {"machine": machine, "monitor": teaching.monitor, "on_epoch": run.log_epoch}
        history = fit(teaching.task, teaching.train, teaching.val, **training, **kept)
        if is_main_process():
            checkpoint.save(MODEL, teaching.network.state_dict(), teaching.config)
            if teaching.channels:
                segmenter = Segmenter(teaching.network, teaching.channels, teaching.config.get("normal", ()))
                mask_sheet(segmenter, VAL, METRICS / "masks.png", data["synthetic"])
                warn_of_little_to_teach(history, labels_of(VAL))
            run.log_lineage(data, [MODEL])
            run.log_artifacts(METRICS)


def main() -> None:
    """Read the augmented images and the validation split, write models/teacher and metrics/teacher."""
    params = load_params()
    settings = params.flat("teacher", "compute")
    train_once("teacher", settings, (TRAIN, VAL, LEARNED), OUTPUTS, lambda work: train(params, work))


if __name__ == "__main__":
    run_stage("teacher", main, OUTPUTS)
