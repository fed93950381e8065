"""Freeze the teacher: cut it down, fold its batch norm, and store what it says of each image."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen import freeze_any
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.compute import set_up

DATA = place("--data") / "data"
SPLITS = {
    "train": DATA / "augmented",
    "val": DATA / "prepared/val",
    "unlabelled": DATA / "augmented_unlabelled",
}
OUTPUTS = ("models/frozen_teacher", "data/teacher_features", "metrics/runs/freeze.json")


def main() -> None:
    """Read models/teacher and the images, write models/frozen_teacher and data/teacher_features."""
    params = load_params()
    machine = set_up(**params.compute.model_dump(exclude={"devices", "nodes"}))
    source = Path("models/teacher")
    with stage_run("freeze", params.flat("freeze", "compute"), params.tracking.required) as run:
        teacher = freeze_any(source, params.freeze.levels, params.freeze.class_maps).to(machine.device)
        teacher.save(Path("models/frozen_teacher"))
        manifest = write_store(
            Path("data/teacher_features"),
            teacher,
            checkpoint.content_hash(source),
            SPLITS,
            params.freeze.batch_size,
            autocast=machine.precision == "bf16",
            store=params.freeze.store,
            limit_gb=params.freeze.store_limit_gb,
            evidence_from=params.freeze.evidence_from,
        )
        run.set_tags({"teacher": manifest["teacher"], "stored": str(manifest["stored"])})
    outcome = "stored" if manifest["stored"] else "not stored: the teacher is asked for them in every step"
    print(f"{manifest['bytes'] / 1e9:.2f} GB of features, {outcome}")


if __name__ == "__main__":
    run_stage("freeze", main, OUTPUTS)
