"""Score student, baseline and teacher on the test split and the unlabelled images: numbers, figures, one report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.tables import read_json
from defectdistill.evaluation.evaluate import evaluate_models
from defectdistill.evaluation.figures import CONTACT_SHEETS
from defectdistill.evaluation.gathered import MODELS, gather, load_teacher
from defectdistill.evaluation.leak_check import find_leaks
from defectdistill.params import load_params
from defectdistill.predict import Predictor
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import experiment_run, log_results
from defectdistill.training.compute import set_up

PREPARED, METRICS, TEACHER = Path("data/prepared"), Path("metrics"), Path("models/teacher")
FOLDERS = {model: Path("models", model) for model in MODELS}
WRITTEN = ("report.html", "figures", "plots", "calibration.json", "evaluate.json", "runs/evaluate.json")
OUTPUTS = [f"metrics/{name}" for name in WRITTEN]
HISTORIES = {"teacher": "teacher", "student": "distill", "baseline": "baseline"}


def main() -> None:
    """Read the models and all that was prepared, write metrics/."""
    params, summary = load_params(), read_json(PREPARED / "summary.json")
    set_up(params.compute.threads, "cpu", "fp32")  # one machine's test scores must be another's
    predictors = {model: Predictor.load(folder, params.evaluate.batch_size) for model, folder in FOLDERS.items()}
    predicted = gather(PREPARED, predictors, load_teacher(TEACHER, params.evaluate.batch_size))
    with experiment_run(params.in_use(), params.tracking.required) as run:
        results = evaluate_models(
            METRICS,
            title="Distilled classifier of surface defects",
            data=summary,
            leaks=find_leaks(PREPARED, summary["classes"], params.distill.teaches_unlabelled()),
            **predicted,
            histories={model: METRICS / stage / "history.csv" for model, stage in HISTORIES.items()},
            contact_sheets=[
                (text, METRICS / path) for text, path in CONTACT_SHEETS.items() if (METRICS / path).exists()
            ],
            params=params.in_use(),
            reproduce=["dvc repro"],
            **params.evaluate.model_dump(exclude={"batch_size"}),
        )
        log_results(run, results)
        run.log_lineage(summary, [*FOLDERS.values(), TEACHER])
        run.log_artifacts(*OUTPUTS[:-1])


if __name__ == "__main__":
    run_stage("evaluate", main, OUTPUTS)
