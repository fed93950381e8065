"""Evaluation of students that classify: what student and baseline say of the test split and the unlabelled images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from defectdistill.checkpoint import content_hash
from defectdistill.evaluation.evaluate import evaluate_models
from defectdistill.evaluation.gathered import MODELS, gather, load_teacher
from defectdistill.evaluation.report_page import Figures
from defectdistill.evaluation.results import Results
from defectdistill.predict import Predictor

HEADLINE = ("macro_f1", "macro-F1")
WRITTEN = ("report.html", "figures", "plots", "calibration.json", "evaluate.json")


def evaluate(
    output: Path,
    *,
    prepared: Path,
    models: Mapping[str, Path],
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    histories: Mapping[str, Path],
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
    settings: Mapping[str, Any],
) -> Results:
    """Measure the models (student, baseline, teacher: a checkpoint folder each) and write everything below `output`.

    `prepared` is the folder data/prepared, `settings` section `evaluate` of params.yaml; all else as in
    `evaluate_models`, whose results are returned.
    """
    settings = dict(settings)
    batch_size = settings.pop("batch_size")
    predictors = {model: Predictor.load(models[model], batch_size) for model in MODELS}
    return evaluate_models(
        output,
        title="Distilled classifier of surface defects",
        data=data,
        leaks=leaks,
        weights={model: content_hash(models[model]) for model in MODELS},
        **gather(prepared, predictors, load_teacher(models["teacher"], batch_size)),
        histories=histories,
        contact_sheets=contact_sheets,
        params=params,
        reproduce=reproduce,
        **settings,
    )
