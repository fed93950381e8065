"""Everything that is said of a student beside its baseline, from their probabilities: scores, data, figures, report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.tables import write_json
from defectdistill.evaluation.figures import draw_figures, draw_trust
from defectdistill.evaluation.gathered import MODELS, Pixels, Predicted
from defectdistill.evaluation.measures import Chosen, choose
from defectdistill.evaluation.plot_data import prediction_rows, write_plot_data
from defectdistill.evaluation.plot_style import remarked
from defectdistill.evaluation.report import write_report
from defectdistill.evaluation.report_page import Figures, tested
from defectdistill.evaluation.results import Results, evaluation_results
from defectdistill.evaluation.scores import classification_scores

BY_VALIDATION = ("accuracy", "macro_f1", "loss")  # scores by which settings may be chosen


def evaluate_models(
    output: Path,
    *,
    title: str,
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    validation: Predicted,
    weights: Mapping[str, str],
    test: Predicted,
    unlabelled: Predicted,
    pixels: Pixels | None,
    histories: Mapping[str, Path],
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
    calibrate: bool,
    target_accuracy: float,
    resamples: int,
    seed: int,
) -> Results:
    """Measure student and baseline, write everything below `output`, and return what evaluate.json holds: that is what
    `evaluation_results` says, `data`, and of each model its scores on the `validation` split.

    `data` is the prepared data's summary.json; `leaks` from `find_leaks`; `validation`, `test` and `unlabelled` (which
    may be empty) are what the models say of these sets, `pixels` what the test images show, or None; `histories` CSV
    files by model (teacher, student, baseline; any may be missing); `weights` content hashes by model; the rest as in
    `choose`, `evaluation_results` and `write_report`.

    Written are `evaluate.json`, `calibration.json` (what was chosen on the validation split, for those who predict),
    `report.html`, `figures/*.png` and `plots/*.csv`.
    """
    classes, output = data["classes"], Path(output)
    output.mkdir(parents=True, exist_ok=True)
    chosen = {model: choose(validation.probs[model], validation.labels, calibrate, target_accuracy) for model in MODELS}
    results = evaluation_results(test, unlabelled, pixels, chosen, classes, resamples, seed)
    for model in MODELS:
        results[model]["validation"] = validation_scores(validation.probs[model], validation.labels, classes)
    results["data"] = tested(data, leaks, len(test.names))
    write_json(output / "evaluate.json", results)
    write_json(
        output / "calibration.json", {model: calibration(choice, weights[model]) for model, choice in chosen.items()}
    )

    write_plot_data(output / "plots", test.probs, test.labels, test.names, unlabelled.probs, unlabelled.names, classes)
    with remarked("Synthetic data: generated photographs" if data["synthetic"] else ""):
        figures = draw_figures(output / "figures", test.probs, test.labels, unlabelled.probs, classes, histories)
        trust = draw_trust(
            output / "figures", test.probs, test.labels, chosen, classes, pixels, synthetic=data["synthetic"]
        )
    write_report(
        output / "report.html",
        title=title,
        data=data,
        leaks=leaks,
        results=results,
        chosen=chosen,
        groups=len(set(test.groups)),
        predictions=[
            row
            for model in MODELS
            for row in prediction_rows(model, test.probs[model], test.names, classes, test.labels)
        ],
        figures=figures,
        trust_figures=trust,
        contact_sheets=contact_sheets,
        params=params,
        reproduce=reproduce,
    )
    return results


def validation_scores(probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return the scores of the validation split, without temperature, and its number of `images`.

    `probs` is (N, K), `labels` int (N,). With a `student.patience` this split has chosen the epoch too.
    """
    scores = classification_scores(probs, labels, classes)
    return {name: scores[name] for name in BY_VALIDATION} | {"images": len(labels)}


def calibration(chosen: Chosen, weights: str) -> dict[str, Any]:
    """Return what predicting with a model needs: the hash of its `weights`, `temperature` (1 where none was found),
    `how` it was found, and the `threshold` on the calibrated confidence (null: none reaches the `target_accuracy`)."""
    return {
        "weights": weights,
        "temperature": chosen.temperature.value,
        "how": chosen.temperature.how,
        "threshold": chosen.threshold,
        "target_accuracy": chosen.target,
    }
