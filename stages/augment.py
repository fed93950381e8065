"""Write augmented copies of the training images and their masks."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.augment import augment
from defectdistill.data.packed import open_array, read_index
from defectdistill.data.protocol import by_photograph
from defectdistill.data.tables import read_json
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.params import load_params
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run

OUTPUTS = ("data/augmented", "data/augmented_unlabelled", "metrics/augment", "metrics/runs/augment.json")
SHOWN = 12
SHEET, MADE = Path("metrics/augment/contact_sheet.png"), Path("metrics/augment/synthesized.png")
TITLE = "Training photographs (first column) and their augmented copies"
DIVIDED = "Photographs and augmented copies to learn from; the others of these are in other splits"
FORGED = "Good photographs, and what was made of each"


def main() -> None:
    """Read data/prepared, write data/augmented, data/augmented_unlabelled and a picture."""
    params, train, output = load_params(), Path("data/prepared/train"), Path("data/augmented")
    table3, data = params.augment.model_dump(), read_json(Path("data/prepared/learned.json"))
    name, cyclegan = table3.pop("synthesizer"), table3.pop("cyclegan")
    synthesizer = importlib.import_module(f"defectdistill.training.synthesizers.{name}")
    with stage_run("augment", params.flat("augment"), params.tracking.required) as run:
        augment(train, output, **table3)
        augment(Path("data/prepared/unlabelled"), Path("data/augmented_unlabelled"), **table3)
        index = read_index(output)
        made = synthesizer.synthesize(train, output, data["classes"], cyclegan)
        images, masks = open_array(output / "images.npy"), open_array(output / "masks.npy")
        photographs = by_photograph(index)
        shown = photographs[:: max(1, len(photographs) // SHOWN)][:SHOWN]  # from all over the training split
        rows = [(Path(index[found[0]]["name"]).name, images[found], masks[found]) for found in shown]
        title = TITLE if all(index[found[0]]["copy"] == "0" for found in photographs) else DIVIDED
        contact_sheet(rows, max(map(len, shown)), SHEET, title, synthetic=data["synthetic"])
        if made:
            contact_sheet(made, max(len(row[1]) for row in made), MADE, FORGED, synthetic=data["synthetic"])
        run.log_metrics({"images": len(images)})
        run.log_artifacts(SHEET, *[MADE] * bool(made))


if __name__ == "__main__":
    run_stage("augment", main, OUTPUTS)
