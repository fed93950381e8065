"""Score student, baseline and teacher on the test split and the unlabelled images: numbers, figures, one report."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.packed import labels_of, open_array, read_index
from defectdistill.data.tables import read_json
from defectdistill.evaluation.evaluate import evaluate_models
from defectdistill.evaluation.figures import CONTACT_SHEETS
from defectdistill.evaluation.leak_check import find_leaks
from defectdistill.evaluation.scores import segmentation_scores
from defectdistill.models.segmenter import Segmenter
from defectdistill.params import load_params
from defectdistill.predict import Predictor
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import experiment_run, log_results
from defectdistill.training.compute import set_up

PREPARED, METRICS = Path("data/prepared"), Path("metrics")
TEST, UNLABELLED = PREPARED / "test", PREPARED / "unlabelled"
MODELS, TEACHER = {model: Path("models", model) for model in ("student", "baseline")}, Path("models/teacher")
OUTPUTS = [f"metrics/{name}" for name in ("report.html", "figures", "plots", "evaluate.json", "runs/evaluate.json")]
HISTORIES = {"teacher": "teacher", "student": "distill", "baseline": "baseline"}


def main() -> None:
    """Read the models and all that was prepared, write metrics/."""
    params, summary = load_params(), read_json(PREPARED / "summary.json")
    set_up(params.compute.threads, "cpu", "fp32")  # one machine's test scores must be another's
    test, unlabelled = open_array(TEST / "images.npy"), open_array(UNLABELLED / "images.npy")
    predictors = {model: Predictor.load(folder, params.evaluate.batch_size) for model, folder in MODELS.items()}
    found = Segmenter.load(TEACHER, params.evaluate.batch_size)(test)
    masked = [row["mask_source"] != "none" for row in read_index(TEST)]
    with experiment_run(params.in_use(), params.tracking.required) as run:
        results = evaluate_models(
            METRICS,
            title="Distilled classifier of surface defects",
            data=summary,
            leaks=find_leaks(PREPARED, summary["classes"]),
            probs={model: predictor(test).probabilities for model, predictor in predictors.items()},
            labels=labels_of(TEST),
            names=[row["name"] for row in read_index(TEST)],
            unlabelled={model: predictor(unlabelled).probabilities for model, predictor in predictors.items()},
            unlabelled_names=[row["name"] for row in read_index(UNLABELLED)],
            teacher=segmentation_scores(found[masked], open_array(TEST / "masks.npy")[masked] > 0),
            histories={model: METRICS / stage / "history.csv" for model, stage in HISTORIES.items()},
            contact_sheets=[(caption, METRICS / path) for caption, path in CONTACT_SHEETS.items()],
            params=params.in_use(),
            reproduce=["dvc repro"],
        )
        log_results(run, results)
        run.log_lineage(summary, [*MODELS.values(), TEACHER])
        run.log_artifacts(*OUTPUTS[:-1])


if __name__ == "__main__":
    run_stage("evaluate", main, OUTPUTS)
