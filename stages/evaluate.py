"""Score student, baseline and teacher on the test split: numbers, figures, one report."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.tables import read_json
from defectdistill.evaluation.leak_check import find_leaks, taught_unlabelled
from defectdistill.params import load_params
from defectdistill.places import PHOTOGRAPHS, beside, command_here, place
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import experiment_run, log_results
from defectdistill.training.compute import set_up

DATA, METRICS = place("--data"), Path("metrics")
PREPARED, MODELS = DATA / "data/prepared", ("student", "baseline", "teacher")
FOLDERS = {model: place(f"--{model}", Path("models", model)) for model in MODELS}
WRITTEN = ("report.html", "figures", "plots", "calibration.json", "evaluate.json", "runs/evaluate.json")  # of any task
OUTPUTS = [f"metrics/{name}" for name in WRITTEN]


def main() -> None:
    """Read the models and all that was prepared, write metrics/."""
    params, summary = load_params(), read_json(PREPARED / "summary.json")
    set_up(params.compute.threads, "cpu", "fp32")  # one machine's test scores must be another's
    kind = importlib.import_module(f"defectdistill.evaluation.tasks.{params.student.task}")
    sheets = {  # pictures of the stages before, by caption
        "Prepared photographs with the outlines of their masks": DATA / "metrics/prepare/contact_sheet.png",
        "Training photographs and their augmented copies": DATA / "metrics/augment/contact_sheet.png",
        "Good photographs, and the defects that a CycleGAN put on them": DATA / "metrics/augment/synthesized.png",
        "Validation photographs: true masks and the teacher's": beside(FOLDERS["teacher"], "masks.png"),
    }
    with experiment_run(params.in_use(), params.tracking.required) as run:
        results = kind.evaluate(
            METRICS,
            prepared=PREPARED,
            models=FOLDERS,
            data=summary,
            leaks=find_leaks(PREPARED, summary["classes"], taught_unlabelled(params.distill.model_dump())),
            histories={model: beside(folder, "history.csv") for model, folder in FOLDERS.items()},
            contact_sheets=[(text, path) for text, path in sheets.items() if path.exists()],
            params=params.in_use(),
            reproduce=[command_here()],
            settings=params.evaluate.model_dump(),
        )
        log_results(run, results)
        run.log_lineage(summary, FOLDERS.values(), read_json(PREPARED / PHOTOGRAPHS))
        run.log_artifacts(*(METRICS / name for name in kind.WRITTEN))
    score, words = kind.HEADLINE
    student, baseline = (results[model]["test"][score] for model in ("student", "baseline"))
    print(f"{words} on the test split: student {student:.3f}, baseline {baseline:.3f}")
    print(f"What that is worth: {(METRICS / 'report.html').absolute()}")


if __name__ == "__main__":
    run_stage("evaluate", main, OUTPUTS)
