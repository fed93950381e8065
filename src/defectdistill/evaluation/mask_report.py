"""The report of an evaluation of masks: one self-contained HTML page, in the form of `report.py`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from defectdistill.evaluation.mask_figures import ends_of, scores_of
from defectdistill.evaluation.mask_results import MODELS, Results
from defectdistill.evaluation.report_page import Figures, embedded, page_facts, page_template
from defectdistill.evaluation.report_words import compared
from defectdistill.evaluation.scores import metric_names

_SCORES = {
    "mean_dice": "Mean Dice of the classes",
    "mean_iou": "Mean IoU of the classes",
    "any_dice": "Dice of any defect",
}


def write_mask_report(
    path: Path,
    *,
    title: str,
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    results: Results,
    groups: int,
    figures: Figures,
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
) -> None:
    """Write the report; every text that comes from the user is escaped.

    `results` are from `mask_results`, `groups` counts the groups of the test images; all else as in `write_report`.
    """
    test, classes = results["student"]["test"], data["classes"]
    page = page_template("mask_report.html").render(
        title=title,
        **page_facts(data, leaks),
        verdict=verdict(results, groups),
        images=test["images"],
        groups=groups,
        models=[model for model in MODELS if "mean_dice" in scores_of(results, model)],
        score_rows=[(words, cells(results, name)) for name, words in _SCORES.items()],
        class_rows=[
            (name, test[f"images/{metric}"], cells(results, f"dice/{metric}"))
            for name, metric in zip(classes, metric_names(classes), strict=True)
        ],
        parameters={model: results[model].get("parameters") for model in MODELS},
        figures=embedded(figures),
        contact_sheets=embedded(contact_sheets),
        params=params,
        reproduce=reproduce,
    )
    path.write_text(page, encoding="utf-8", newline="\n")


def cells(results: Results, name: str) -> dict[str, tuple[float | None, list[float] | None]]:
    """Return (value, interval) of a score by owner: the models, and the difference student − baseline."""
    owners = (*MODELS, "difference")
    return {owner: (scores_of(results, owner).get(name), ends_of(results, owner).get(name)) for owner in owners}


def verdict(results: Results, groups: int) -> str:
    """Return two sentences: who has the higher mean Dice and by how much, and whether that may be chance."""
    scores = (scores_of(results, model)["mean_dice"] for model in ("student", "baseline"))
    first = compared("mean Dice", *scores, results["student"]["test"]["images"])
    ends = ends_of(results, "difference").get("mean_dice")
    if ends is None:
        return f"{first} {groups} group of images cannot tell whether that is chance."
    if ends[0] <= 0 <= ends[1]:
        return f"{first} The difference may be chance: its 95 % interval holds zero."
    return f"{first} The 95 % interval of the difference does not hold zero, though it is one split and one training."
