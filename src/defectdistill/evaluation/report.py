"""One self-contained HTML page that says what was measured, on what data, and how far it can be trusted.

Styles and pictures are inside the file; it needs no network and no script. It holds no time and no path of the
machine: same inputs, same bytes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from defectdistill.evaluation.gathered import MODELS
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.report_page import Figures, embedded, page_facts, page_template
from defectdistill.evaluation.report_trust import attention_section, calibration_section, selective_section
from defectdistill.evaluation.report_words import verdict
from defectdistill.evaluation.scores import metric_names

_SCORES = {
    "accuracy": "Accuracy", "macro_f1": "Macro-F1", "macro_recall": "Macro recall", "g_mean": "G-mean of the recalls",
    "macro_auc": "Macro AUC", "loss": "Loss, nats (lower is better)",
}  # fmt: skip
_CLASS_SCORES = {"f1": "F1", "recall": "Recall", "precision": "Precision", "auc": "AUC"}
_TEACHER = {
    "dice": "Dice, all pixels together",
    "iou": "IoU, all pixels together",
    "image_dice": "Dice, mean of images",
    "accuracy": "Accuracy of its own answer, all test images",
    "macro_f1": "Macro-F1 of its own answer, all test images",
}
_MOST_MISTAKES = 40


def write_report(
    path: Path,
    *,
    title: str,
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    results: Mapping[str, Mapping[str, Any]],
    chosen: Mapping[str, Chosen],
    groups: int,
    predictions: Sequence[Mapping[str, str]],
    figures: Figures,
    trust_figures: Mapping[str, Figures],
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
) -> None:
    """Write the report as one HTML file; every text that comes from the user is escaped.

    `data` is the prepared data's summary.json, `leaks` from `find_leaks`; `results` are from `evaluation_results`;
    `chosen` {model: `Chosen`}; `groups` counts the groups of the test split. `predictions` are test rows as from
    `prediction_rows` for both models. `figures` and `contact_sheets` are (caption, PNG, JPEG or WebP file),
    `trust_figures` the same by section (calibration, selective, attention); `params` has flat names; `reproduce` are
    shell commands. `path`'s folder must exist. Raises ValueError for a picture of another type.
    """
    images, test = results["student"]["test"]["images"], {model: results[model]["test"] for model in MODELS}
    mistakes = _mistakes(predictions)
    page = page_template("report.html").render(
        title=title,
        **page_facts(data, leaks),
        verdict=verdict(test["student"], test["baseline"], results["paired"], images),
        images=images,
        groups=groups,
        score_rows=_rows(results),
        class_rows=_class_rows(test, data["classes"]),
        class_scores=_CLASS_SCORES,
        uncertainty_tables=_uncertainty_tables(results, data["classes"]),
        calibration=calibration_section(results, chosen),
        selective=selective_section(results, chosen),
        attention=attention_section(results),
        teacher=results["teacher"],
        teacher_rows=_teacher_rows(results["teacher"]),
        mistakes=mistakes[:_MOST_MISTAKES],
        more_mistakes=max(0, len(mistakes) - _MOST_MISTAKES),
        figures=embedded(figures),
        trust_figures={section: embedded(group) for section, group in trust_figures.items()},
        contact_sheets=embedded(contact_sheets),
        params=params,
        reproduce=reproduce,
    )
    path.write_text(page, encoding="utf-8", newline="\n")


def _rows(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one table row per score that a model has: words, and (value, interval) of both and of the difference."""
    owners = [(results[model]["test"], results[model]["intervals"].get("test", {})) for model in MODELS]
    owners.append((results["difference"], results["difference"]["intervals"]))
    rows = []
    for name, words in _SCORES.items():
        cells = [(values.get(name), ends.get(name)) for values, ends in owners]
        if any(value is not None for value, _ in cells):
            rows.append({"words": words, "cells": cells})
    return rows


def _class_rows(test: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one table row per class: its name, its test images, and (student, baseline) of each score."""
    return [
        {
            "class": name,
            "images": test["student"][f"images/{metric}"],
            "values": [[test[model].get(f"{score}/{metric}") for model in MODELS] for score in _CLASS_SCORES],
        }
        for name, metric in zip(classes, metric_names(classes), strict=True)
    ]


def _teacher_rows(teacher: Mapping[str, Any]) -> list[tuple[str, float, list[float] | None]]:
    return [
        (words, teacher[name], teacher["intervals"].get(name)) for name, words in _TEACHER.items() if name in teacher
    ]


def _uncertainty_tables(results: Mapping[str, Mapping[str, Any]], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one table per set of images that has any: per class and in all, (student, baseline) of each value."""
    tables = []
    for key, words in (("test", "Test split, by true class"), ("unlabelled", "Unlabelled set, by predicted class")):
        sets = [results[model][key] for model in MODELS]
        if not sets[0]["images"]:
            continue
        rows = [
            (name, [[one.get(f"{value}/{metric}") for one in sets] for value in ("images", "confidence", "entropy")])
            for name, metric in zip(classes, metric_names(classes), strict=True)
        ]
        totals = [[one[value] for one in sets] for value in ("images", "average_confidence", "average_entropy")]
        tables.append({"words": words, "rows": [*rows, ("All images", totals)]})
    return tables


def _mistakes(predictions: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return the test images that either model gets wrong, with what each says."""
    by_model = {model: [row for row in predictions if row["model"] == model] for model in MODELS}
    pairs = zip(by_model["student"], by_model["baseline"], strict=True)
    return [
        {"name": student["name"], "true": student["true"], "said": (student, baseline)}
        for student, baseline in pairs
        if student["true"] != student["predicted"] or baseline["true"] != baseline["predicted"]
    ]
