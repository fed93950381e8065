"""Train a student: `distill.py baseline` without a teacher, `distill.py distill` with one."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill import checkpoint
from defectdistill.data.tables import read_json
from defectdistill.params import Params, load_params
from defectdistill.places import place
from defectdistill.processes import is_main_process
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run
from defectdistill.training.compute import set_up
from defectdistill.training.length import lengthened
from defectdistill.training.lesson import Lesson
from defectdistill.training.once import Work, train_once

DATA, BY = place("--data") / "data", place("--teacher")
SPLITS, MORE = {"train": DATA / "augmented", "val": DATA / "prepared/val"}, DATA / "augmented_unlabelled"
LEARNED, STAGE = DATA / "prepared/learned.json", sys.argv[1]
FEATURES, TEACHER, FROZEN = BY / "data/teacher_features", BY / "models/teacher", BY / "models/frozen_teacher"
MODEL, METRICS = Path("models", {"baseline": "baseline", "distill": "student"}[STAGE]), Path("metrics", STAGE)
OUTPUTS = (str(MODEL), str(METRICS), f"metrics/runs/{STAGE}.json")


def train(params: Params, work: Work) -> None:
    """Write the student and its history."""
    data, machine = read_json(LEARNED), set_up(**params.compute.model_dump())
    settings = lengthened(params.student.model_dump(), SPLITS["train"], synthetic=data["synthetic"])
    kind = importlib.import_module(f"defectdistill.training.tasks.{params.student.task}")
    task = kind.student_task(settings, data, SPLITS["train"])
    lessons = [Lesson(task)]
    if STAGE == "distill":
        from defectdistill.training.course import lessons_of  # the baseline does not depend on it

        lessons = lessons_of(task, params.distill.model_dump(), FEATURES, TEACHER, SPLITS, MORE)
    with stage_run(STAGE, work.settings, params.tracking.required, work.run) as run:
        for lesson in lessons:
            lesson.give(SPLITS, settings, machine, work.folder, METRICS, run.log_epoch)
        if is_main_process():
            checkpoint.save(MODEL, task.student.state_dict(), kind.student_config(settings, data))
            run.log_lineage(data, [MODEL, *[TEACHER] * (STAGE == "distill")])
            run.log_artifacts(METRICS)


def main() -> None:
    """Read the images (and the teacher's features), write the model and its history."""
    params, taught = load_params(), STAGE == "distill"
    inputs = [*SPLITS.values(), LEARNED, *([MORE, FEATURES / "manifest.json", TEACHER, FROZEN] if taught else [])]
    settings = params.flat("student", "compute", *["distill"] * taught)
    train_once(STAGE, settings, inputs, OUTPUTS, lambda work: train(params, work))


if __name__ == "__main__":
    run_stage(STAGE, main, OUTPUTS)
