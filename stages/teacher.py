"""Train the teacher: U-Net3+ on the masks of the augmented training images."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint, tracking
from defectdistill.data.batches import mask_batches
from defectdistill.data.tables import read_json
from defectdistill.evaluation.mask_sheet import mask_sheet
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.unet3plus import build_teacher, teacher_config
from defectdistill.params import load_params
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.training.compute import set_up
from defectdistill.training.fit import fit, seed_everything, write_history
from defectdistill.training.segmentation import SegmentationTask

METRICS = Path("metrics/teacher")


def main() -> None:
    """Read data/augmented and data/prepared/val, write models/teacher, its history and a picture."""
    params = load_params()
    settings, compute = params.teacher, params.compute
    machine = set_up(**compute.model_dump())
    summary = read_json(Path("data/prepared/summary.json"))
    channels = ["defect"] if settings.target == "binary" else summary["classes"]
    seed_everything(settings.seed)
    network = build_teacher(settings.encoder, settings.width, len(channels), settings.weights)
    with tracking.stage_run("teacher", params.flat("teacher", "compute")) as run:
        history = fit(
            SegmentationTask(network, len(channels), settings.loss, settings.lr),
            mask_batches(Path("data/augmented"), settings.batch_size, settings.seed, machine.on_gpu),
            mask_batches(Path("data/prepared/val"), settings.batch_size, None, machine.on_gpu),
            epochs=settings.epochs,
            monitor="val_soft_dice",
            mode="max",
            patience=settings.patience,
            machine=machine,
            on_epoch=run.log_epoch,
        )
        if not is_main_process():
            return
        write_history(METRICS / "history.csv", history)
        config = teacher_config(settings.encoder, settings.width, channels, summary["size"], summary["resize"])
        checkpoint.save(Path("models/teacher"), network.state_dict(), config)
        mask_sheet(Segmenter(network), Path("data/prepared/val"), METRICS / "masks.png", summary["synthetic"])
        run.log_artifact(METRICS)
    if not any(row["val_dice"] for row in history):
        advice = "try teacher.loss=bce_dice, more epochs, larger images"
        print(f"the teacher found no defect on the validation split: it has little to teach; {advice}", file=sys.stderr)


if __name__ == "__main__":
    run_stage("teacher", main)
