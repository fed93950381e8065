"""Everything that is said of a student beside its baseline, from their probabilities: scores, data, figures, report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.evaluation.figures import draw_figures
from defectdistill.evaluation.plot_data import prediction_rows, write_plot_data
from defectdistill.evaluation.plot_style import remarked
from defectdistill.evaluation.report import Figures, write_report
from defectdistill.evaluation.scores import classification_scores, metric_names, paired_comparison
from defectdistill.evaluation.uncertainty import summary

MODELS = ("student", "baseline")


def evaluate_models(
    output: Path,
    *,
    title: str,
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    probs: Mapping[str, np.ndarray],
    labels: np.ndarray,
    names: Sequence[str],
    unlabelled: Mapping[str, np.ndarray],
    unlabelled_names: Sequence[str],
    teacher: Mapping[str, float],
    histories: Mapping[str, Path],
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Score student and baseline, write everything below `output`, and return what evaluate.json holds.

    `data` is the prepared data's summary.json; `leaks` from `find_leaks`; `probs` {"student": (N, K), "baseline":
    (N, K)} on the test split with `labels` int (N,) and `names` (N); `unlabelled` the same for (M, K), M ≥ 0, with
    `unlabelled_names` (M); `teacher` from `segmentation_scores` or empty; `histories` CSV files by model (teacher,
    student, baseline; any may be missing); the rest as in `write_report`.

    Written are `evaluate.json`, `report.html`, `figures/*.png` and `plots/*.csv`. evaluate.json: `student` and
    `baseline`, each with `test` (the scores, and the values of `uncertainty_metrics`) and `unlabelled` (those values),
    `teacher`, `difference` (student − baseline, test), `paired`, and `data` (what all of it rests on). A value that
    the images cannot give is left out.
    """
    if set(probs) != set(MODELS) or set(unlabelled) != set(MODELS):
        raise ValueError(f"probs of {sorted(probs)} and {sorted(unlabelled)}; expected of {' and '.join(MODELS)} each")
    classes = data["classes"]
    output.mkdir(parents=True, exist_ok=True)
    scores = {model: classification_scores(probs[model], labels, classes) for model in MODELS}
    paired = paired_comparison(probs["student"], probs["baseline"], labels)
    uncertainty = {
        model: {"test": summary(probs[model], classes, labels), "unlabelled": summary(unlabelled[model], classes)}
        for model in MODELS
    }
    results = evaluation_results(scores, uncertainty, paired, teacher, classes)
    results["data"] = {
        "source": data["source"],
        "synthetic": data["synthetic"],
        "test_images": len(labels),
        "test_images_with_a_copy": len({pair["name"] for pair in leaks["pairs"]}),
    }
    text = json.dumps(results, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (output / "evaluate.json").write_text(text + "\n", encoding="utf-8")

    probs, unlabelled = ({model: group[model] for model in MODELS} for group in (probs, unlabelled))
    write_plot_data(output / "plots", probs, labels, names, unlabelled, unlabelled_names, classes)
    with remarked("Synthetic data: generated photographs" if data["synthetic"] else ""):
        figures = draw_figures(output / "figures", probs, labels, unlabelled, classes, histories)
    write_report(
        output / "report.html",
        title=title,
        data=data,
        leaks=leaks,
        scores=scores,
        paired=paired,
        uncertainty=uncertainty,
        teacher=teacher,
        predictions=[row for model in MODELS for row in prediction_rows(model, probs[model], names, classes, labels)],
        figures=figures,
        contact_sheets=contact_sheets,
        params=params,
        reproduce=reproduce,
    )
    return results


def evaluation_results(
    scores: Mapping[str, Mapping[str, float]],
    uncertainty: Mapping[str, Mapping[str, Mapping[str, Any]]],
    paired: Mapping[str, float],
    teacher: Mapping[str, float],
    classes: Sequence[str],
) -> dict[str, dict[str, Any]]:
    """Return what evaluate.json holds: see `evaluate_models`."""
    results: dict[str, dict[str, Any]] = {}
    for model in MODELS:
        flat = {key: uncertainty_metrics(values, classes) for key, values in uncertainty[model].items()}
        results[model] = {**flat, "test": {**scores[model], **flat["test"]}}
    student, baseline = (results[model]["test"] for model in MODELS)
    shared = [name for name in student if name in baseline and name.partition("/")[0] != "images"]
    results["difference"] = {name: student[name] - baseline[name] for name in shared}
    return results | {"paired": dict(paired), "teacher": dict(teacher)}


def uncertainty_metrics(values: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """Return the result of `uncertainty.summary` under flat metric names.

    `images`, `average_confidence`, `average_entropy`, and `images/CLASS`, `confidence/CLASS`, `entropy/CLASS`.
    """
    flat = {name: value for name, value in values.items() if name != "classes"}
    for name, metric in zip(classes, metric_names(classes), strict=True):
        for key, value in values["classes"][name].items():
            flat[f"{key.removeprefix('average_')}/{metric}"] = value
    return flat
