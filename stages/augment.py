"""Write augmented copies of the training images and their masks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.augment import augment
from defectdistill.data.packed import open_array, read_index
from defectdistill.data.tables import read_json
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.params import load_params
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run

OUTPUTS = ("data/augmented", "data/augmented_unlabelled", "metrics/augment", "metrics/runs/augment.json")
SHOWN = 12
SHEET = Path("metrics/augment/contact_sheet.png")


def main() -> None:
    """Read data/prepared, write data/augmented, data/augmented_unlabelled and a picture."""
    params = load_params()
    output = Path("data/augmented")
    with stage_run("augment", params.flat("augment"), params.tracking.required) as run:
        augment(Path("data/prepared/train"), output, **params.augment.model_dump())
        augment(Path("data/prepared/unlabelled"), Path("data/augmented_unlabelled"), **params.augment.model_dump())
        images, masks = open_array(output / "images.npy"), open_array(output / "masks.npy")
        each = params.augment.copies + 1
        step = max(1, len(images) // each // SHOWN) * each  # photographs from all over the training split
        names = [row["name"] for row in read_index(output)]
        rows = [
            (Path(names[row]).name, images[row : row + each], masks[row : row + each])
            for row in list(range(0, len(images), step))[:SHOWN]
        ]
        title = "Training photographs (first column) and their augmented copies"
        synthetic = read_json(Path("data/prepared/summary.json"))["synthetic"]
        contact_sheet(rows, each, SHEET, title, synthetic=synthetic)
        run.log_metrics({"images": len(images)})
        run.log_artifacts(SHEET)


if __name__ == "__main__":
    run_stage("augment", main, OUTPUTS)
