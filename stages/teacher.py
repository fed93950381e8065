"""Train the teacher: U-Net3+ on the masks of the augmented training images."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.data.batches import mask_batches
from defectdistill.data.tables import read_json
from defectdistill.evaluation.mask_sheet import mask_sheet
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.unet3plus import teacher_config
from defectdistill.params import Params, load_params
from defectdistill.places import place
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.compute import set_up
from defectdistill.training.fit import LIMITS, fit
from defectdistill.training.once import Work, train_once
from defectdistill.training.segmentation import segmentation_task, warn_of_nothing_found

DATA = place("--data") / "data"
TRAIN, VAL, SUMMARY = DATA / "augmented", DATA / "prepared/val", DATA / "prepared/summary.json"
MODEL, METRICS = Path("models/teacher"), Path("metrics/teacher")
OUTPUTS = ("models/teacher", "metrics/teacher", "metrics/runs/teacher.json")


def train(params: Params, work: Work) -> None:
    """Write the teacher, its history and a picture."""
    settings, summary, machine = params.teacher, read_json(SUMMARY), set_up(**params.compute.model_dump())
    channels = ["defect"] if settings.target == "binary" else summary["classes"]
    task = segmentation_task(settings.model_dump(), len(channels))
    with stage_run("teacher", work.settings, params.tracking.required, work.run) as run:
        every = settings.loss == "ce_dice_image"  # images without a mask teach this loss something too
        train = mask_batches(TRAIN, settings.batch_size, settings.seed, machine.on_gpu, every)
        val = mask_batches(VAL, settings.batch_size, None, machine.on_gpu, every)
        limits = settings.model_dump(include=LIMITS)
        kept = {"folder": work.folder, "history": METRICS / "history.csv", "on_epoch": run.log_epoch}
        history = fit(task, train, val, machine=machine, monitor=("val_soft_dice", "max"), **limits, **kept)
        if is_main_process():
            config = teacher_config(settings.encoder, settings.width, channels, summary["size"], summary["resize"])
            checkpoint.save(MODEL, task.network.state_dict(), config)
            mask_sheet(Segmenter(task.network, channels), VAL, METRICS / "masks.png", summary["synthetic"])
            run.log_lineage(summary, [MODEL])
            run.log_artifacts(METRICS)
            warn_of_nothing_found(history)


def main() -> None:
    """Read the augmented images and the validation split, write models/teacher and metrics/teacher."""
    params = load_params()
    settings = params.flat("teacher", "compute")
    train_once("teacher", settings, (TRAIN, VAL, SUMMARY), OUTPUTS, lambda work: train(params, work))


if __name__ == "__main__":
    run_stage("teacher", main, OUTPUTS)
