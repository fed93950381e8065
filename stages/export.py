"""Write the student as ONNX files that need nothing of ours, compared with torch, and the card that goes with them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.assess import Assessor
from defectdistill.data.packed import evenly
from defectdistill.data.tables import read_json, write_json
from defectdistill.evaluation.held_out import read_photographs
from defectdistill.export import example
from defectdistill.export.export import Judges, Split, export_student, flat_metrics
from defectdistill.export.model_card import model_card
from defectdistill.model_forms import Classifier
from defectdistill.model_json import read_model_json
from defectdistill.params import load_params
from defectdistill.places import CALIBRATION
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.compute import set_up

PREPARED, RAW, MODEL, ONNX = Path("data/prepared"), Path("data/raw"), Path("models/student"), Path("models/onnx")
OUTPUTS = ("models/onnx", "metrics/export.json", "metrics/runs/export.json")


def main() -> None:
    """Read models/student and what evaluate found, write models/onnx."""
    params, data = load_params(), read_json(PREPARED / "summary.json")
    settings, threads = params.export, params.compute.threads
    set_up(threads, "cpu", "fp32")
    assessor, config = Assessor.load(MODEL), read_model_json(MODEL, Classifier)
    chosen = read_json(CALIBRATION)["student"]
    notes = {
        "classes": config.classes,
        "preprocessing": config.preprocessing.model_dump(),
        "temperature": assessor.predictor.temperature,
        "threshold": assessor.threshold,
        "target_accuracy": chosen["target_accuracy"],
        "weights_sha256": checkpoint.content_hash(MODEL),
    }
    paths = evenly(read_photographs(PREPARED, RAW, ("test",)).paths, settings.photographs)
    judges = Judges(assessor.predictor, Split.open(PREPARED / "val"), Split.open(PREPARED / "test"), paths, threads)
    seen = evenly(Split.open(PREPARED / "train").images, settings.calibration_images) if settings.int8 else None
    with stage_run("export", params.flat("export", "compute"), params.tracking.required) as run:
        parity = export_student(ONNX, judges, f"the student {config.student.arch!r}", notes, seen, settings.max_f1_drop)
        for path in (ONNX / "parity.json", Path("metrics/export.json")):
            write_json(path, parity)
        results = read_json(Path("metrics/evaluate.json"))
        card = {"arch": config.student.arch, "results": results, "data": data, "licence": settings.licence}
        card["how"] = chosen["how"]
        (ONNX / "model_card.md").write_text(model_card(notes=notes, parity=parity, **card), encoding="utf-8")
        (ONNX / "example.py").write_bytes(Path(example.__file__).read_bytes())
        run.log_metrics(flat_metrics(parity))
        run.log_artifacts(ONNX / "model_card.md", ONNX / "parity.json")


if __name__ == "__main__":
    run_stage("export", main, OUTPUTS)
