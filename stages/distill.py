"""Train a classifier: `distill.py baseline` without a teacher, `distill.py distill` with one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.data.batches import image_batches
from defectdistill.data.tables import read_json
from defectdistill.models.students import classifier_config
from defectdistill.params import Params, load_params
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.classification import classification_task
from defectdistill.training.compute import set_up
from defectdistill.training.fit import fit
from defectdistill.training.once import Work, train_once

SPLITS, MORE = {"train": Path("data/augmented"), "val": Path("data/prepared/val")}, Path("data/augmented_unlabelled")
SUMMARY = Path("data/prepared/summary.json")
FEATURES, TEACHER, FROZEN = Path("data/teacher_features"), Path("models/teacher"), Path("models/frozen_teacher")
STAGE = sys.argv[1]
MODEL, METRICS = Path("models", {"baseline": "baseline", "distill": "student"}[STAGE]), Path("metrics", STAGE)
OUTPUTS = (str(MODEL), str(METRICS), f"metrics/runs/{STAGE}.json")


def train(params: Params, work: Work) -> None:
    """Write the classifier and its history."""
    settings, summary, machine = params.student, read_json(SUMMARY), set_up(**params.compute.model_dump())
    task, stored, more = classification_task(settings.model_dump(), len(summary["classes"])), {}, None
    if STAGE == "distill":
        from defectdistill.training.distillation import distilling_task  # the baseline does not depend on it

        task, stored, more = distilling_task(task, params.distill.model_dump(), FEATURES, TEACHER, SPLITS, MORE)
    with stage_run(STAGE, work.settings, params.tracking.required, work.run) as run:
        loading = {"batch_size": settings.batch_size, "on_gpu": machine.on_gpu}
        train = image_batches(SPLITS["train"], seed=settings.seed, extra=stored.get("train"), further=more, **loading)
        val = image_batches(SPLITS["val"], extra=stored.get("val"), **loading)
        limits = settings.model_dump(include={"epochs", "patience", "seed"})
        kept = {"folder": work.folder, "history": METRICS / "history.csv", "on_epoch": run.log_epoch}
        fit(task, train, val, machine=machine, monitor=("val_loss", "min"), **limits, **kept)
        if is_main_process():
            config = classifier_config(settings.arch, summary["classes"], summary["size"], summary["resize"])
            checkpoint.save(MODEL, task.student.state_dict(), config)
            run.log_lineage(summary, [MODEL, *[TEACHER] * (STAGE == "distill")])
            run.log_artifacts(METRICS)


def main() -> None:
    """Read the images (and the teacher's features), write the model and its history."""
    params, inputs, sections = load_params(), [*SPLITS.values(), SUMMARY], ["student", "compute"]
    if STAGE == "distill":
        inputs, sections = [*inputs, MORE, FEATURES / "manifest.json", TEACHER, FROZEN], [*sections, "distill"]
    train_once(STAGE, params.flat(*sections), inputs, OUTPUTS, lambda work: train(params, work))


if __name__ == "__main__":
    run_stage(STAGE, main, OUTPUTS)
