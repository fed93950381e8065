"""Make masks, split by group, resize: the arrays that everything later reads."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.copy_groups import TABLE
from defectdistill.data.packed import evenly, labels_of, open_array
from defectdistill.data.prepare import prepare
from defectdistill.data.prepared_words import prepared_words
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run

OUTPUTS = ("data/prepared", "metrics/prepare", "metrics/runs/prepare.json")
SHOWN = 8
RAW, PREPARED, SHEET = place("--data") / "data/raw", Path("data/prepared"), Path("metrics/prepare/contact_sheet.png")


def main() -> None:
    """Read data/raw, write data/prepared and a picture of it."""
    params = load_params()
    settings = params.prepare.model_dump(exclude={"image_size", "val_fraction", "test_fraction"})
    val, test = params.prepare.val_fraction, params.prepare.test_fraction
    with stage_run("prepare", params.flat("prepare"), params.tracking.required) as run:
        fractions = (1 - val - test, val, test)
        summary = prepare(RAW, PREPARED, params.prepare.image_size, fractions=fractions, **settings)
        draw(summary)
        run.log_metrics({f"images/{split}": sum(counts.values()) for split, counts in summary["counts"].items()})
        for path in (PREPARED / "summary.json", SHEET, PREPARED / TABLE):
            run.log_artifacts(path)
    print(*prepared_words(summary), sep="\n")


def draw(summary: dict) -> None:
    """Draw some images of each class and split, with the outlines of their masks."""
    rows = []
    for split in ("train", "val", "test"):
        folder = PREPARED / split
        images, masks, labels = open_array(folder / "images.npy"), open_array(folder / "masks.npy"), labels_of(folder)
        for index, name in enumerate(summary["classes"]):
            shown = evenly(np.flatnonzero(labels == index), SHOWN)
            rows.append((f"{name} · {split}", images[shown], masks[shown]))
    title = "Prepared photographs and their masks, by class and split"
    contact_sheet(rows, SHOWN, SHEET, title, synthetic=summary["synthetic"])


if __name__ == "__main__":
    run_stage("prepare", main, OUTPUTS)
