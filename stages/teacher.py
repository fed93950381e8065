"""Train the teacher: U-Net3+ on the masks of the augmented training images."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint, tracking
from defectdistill.data.batches import mask_batches
from defectdistill.data.packed import open_array
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.unet3plus import build_teacher, teacher_config
from defectdistill.params import load_params
from defectdistill.training.compute import set_up
from defectdistill.training.fit import fit, seed_everything, write_history
from defectdistill.training.segmentation import SegmentationTask

METRICS = Path("metrics/teacher")


def main() -> None:
    """Read data/augmented and data/prepared/val, write models/teacher, its history and a picture."""
    params = load_params()
    settings, compute = params.teacher, params.compute
    machine = set_up(compute.threads, compute.accelerator, compute.precision)
    classes = json.loads(Path("data/prepared/summary.json").read_text())["classes"]
    channels = 1 if settings.target == "binary" else len(classes)
    seed_everything(settings.seed)
    network = build_teacher(settings.encoder, settings.width, channels, settings.weights)
    with tracking.stage_run("teacher", params.flat("teacher", "compute")) as run:
        history = fit(
            SegmentationTask(network, channels, settings.loss, settings.lr),
            mask_batches(Path("data/augmented"), settings.batch_size, settings.seed),
            mask_batches(Path("data/prepared/val"), settings.batch_size),
            epochs=settings.epochs,
            monitor="val_dice",
            mode="max",
            patience=settings.patience,
            machine=machine,
            on_epoch=run.log_epoch,
        )
        write_history(METRICS / "history.csv", history)
        config = teacher_config(settings.encoder, settings.width, channels)
        checkpoint.save(Path("models/teacher"), network.state_dict(), config)
        draw_masks(Segmenter(network), Path("data/prepared/val"))
        run.log_artifact(METRICS)


def draw_masks(segmenter: Segmenter, split: Path, shown: int = 12) -> None:
    """Draw validation images with the true outlines above those that the teacher found."""
    images, masks = open_array(split / "images.npy")[:shown], open_array(split / "masks.npy")[:shown]
    found = segmenter(images).astype("uint8")
    rows = [("true masks", images, masks), ("teacher's masks", images, found)]
    contact_sheet(rows, len(images), METRICS / "masks.png", "Validation images: true and predicted masks")


if __name__ == "__main__":
    main()
