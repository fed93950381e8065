"""Train a classifier: `distill.py baseline` without a teacher, `distill.py distill` with one."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint, tracking
from defectdistill.data.batches import image_batches
from defectdistill.data.tables import read_json
from defectdistill.models.students import build_student, classifier_config
from defectdistill.params import load_params
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.compute import set_up
from defectdistill.training.fit import fit, seed_everything, write_history

SPLITS = {"train": Path("data/augmented"), "val": Path("data/prepared/val")}
FEATURES, TEACHER, METRICS = Path("data/teacher_features"), Path("models/teacher"), Path("metrics")
OUTPUTS = {"baseline": Path("models/baseline"), "distill": Path("models/student")}


def main(stage: str) -> None:
    """Read the images (and the teacher's features), write the model and its history."""
    params = load_params()
    settings = params.student
    machine = set_up(**params.compute.model_dump())
    summary = read_json(Path("data/prepared/summary.json"))
    seed_everything(settings.seed)
    student = build_student(settings.arch, len(summary["classes"]), settings.weights)
    optimisation = Optimisation(**settings.model_dump(include=set(Optimisation.__dataclass_fields__)))
    task, stored = ClassificationTask(student, len(summary["classes"]), optimisation), {}
    if stage == "distill":
        from defectdistill.training.distillation import distilling_task  # the baseline does not depend on it

        task, stored = distilling_task(task, params.distill.model_dump(), FEATURES, TEACHER, SPLITS)
    with tracking.stage_run(stage, params.flat("student", "compute", *["distill"] * (stage == "distill"))) as run:
        history = fit(
            task,
            image_batches(SPLITS["train"], settings.batch_size, settings.seed, stored.get("train"), machine.on_gpu),
            image_batches(SPLITS["val"], settings.batch_size, None, stored.get("val"), machine.on_gpu),
            epochs=settings.epochs,
            monitor="val_loss",
            mode="min",
            patience=settings.patience,
            machine=machine,
            on_epoch=run.log_epoch,
        )
        if not is_main_process():
            return
        write_history(METRICS / stage / "history.csv", history)
        config = classifier_config(settings.arch, summary["classes"], summary["size"], summary["resize"])
        checkpoint.save(OUTPUTS[stage], student.state_dict(), config)
        run.log_artifact(METRICS / stage)


if __name__ == "__main__":
    run_stage(sys.argv[1], lambda: main(sys.argv[1]))
