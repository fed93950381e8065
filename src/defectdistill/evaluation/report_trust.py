"""The report's sections on trust: calibration, what to hand over to a person, what the models look at; in words."""

from collections.abc import Mapping
from typing import Any

from defectdistill.evaluation.calibration import BOUNDED, SEPARATED
from defectdistill.evaluation.gathered import MODELS
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.report_words import per_cent, promise
from defectdistill.evaluation.selective import HANDED_OVER, LEAST_ABOVE

Results = Mapping[str, Mapping[str, Any]]

_CALIBRATION = {
    "ece": "Expected calibration error", "brier": "Brier score", "loss": "Negative log-likelihood, nats",
    "average_confidence": "Average confidence",
}  # fmt: skip


def calibration_section(results: Results, chosen: Mapping[str, Chosen]) -> dict[str, Any]:
    """Return the `sentences` on both models and the `rows` (words, then a value and its interval before and after)."""
    parts = ["test", "calibrated"] if "calibrated" in results["student"] else ["test"]
    rows = [
        (words, [_cell(results[model], part, name) for model in MODELS for part in parts])
        for name, words in _CALIBRATION.items()
    ]
    return {
        "sentences": [_calibration_words(model, results[model], chosen[model]) for model in MODELS],
        "columns": ["before", "after"][: len(parts)],
        "rows": rows,
    }


def _calibration_words(model: str, values: Mapping[str, Any], chosen: Chosen) -> str:
    promised, kept = values["test"]["average_confidence"], values["test"]["accuracy"]
    first = (
        f"Of 100 answers on the test split the {model} expects {_of_100(promised)} to be right, by its own confidence"
    )
    text = f"{first}; {_of_100(kept)} are."
    if not chosen.is_calibrated:
        return text
    images = f"{chosen.validation_images} validation image{'s' if chosen.validation_images != 1 else ''}"
    if chosen.temperature.how == SEPARATED:
        return (
            f"{text} It is right on all of {images}: from these no temperature can be learned, as they would take any "
            "degree of certainty for justified. Its probabilities stay as they are."
        )
    expected = _of_100(values["calibrated"]["average_confidence"])
    bounded = " (the end of the range that is searched)" if chosen.temperature.how == BOUNDED else ""
    effect = "less" if chosen.temperature.value > 1 else "more"
    return (
        f"{text} The temperature {chosen.temperature.value:.2f}{bounded}, learned from {images}, makes it {effect} "
        f"certain: it then expects {expected}."
    )


def selective_section(results: Results, chosen: Mapping[str, Chosen]) -> dict[str, Any]:
    """Return the `sentences` on the thresholds and the `rows` (words, values with intervals)."""
    rows = [("The model answers all", [_cell(results[model], "test", "accuracy") for model in MODELS])]
    rows += [
        (
            f"Least certain {per_cent(share / 100)} to a person",
            _cells(results, "selective", f"accuracy_without_{share}"),
        )
        for share in HANDED_OVER
    ]
    rows.append(("Area under the risk-coverage curve", _cells(results, "selective", "aurc")))
    return {"sentences": [_threshold_words(model, results[model], chosen[model]) for model in MODELS], "rows": rows}


def _threshold_words(model: str, values: Mapping[str, Any], chosen: Chosen) -> str:
    goal = f"{100 * chosen.target:g} of 100"
    if chosen.threshold is None:
        return (
            f"No threshold on the {model}'s confidence gives {goal} right answers on {LEAST_ABOVE} or more of the "
            f"{chosen.validation_images} validation images: a person decides everything."
        )
    selective, unlabelled = values["selective"], values["unlabelled"]
    passed, right = chosen.validation_above, chosen.validation_right
    text = (
        f"From a confidence of {per_cent(chosen.threshold, 1)} on the {model}'s answers need no person: of the "
        f"{chosen.validation_images} validation images {passed} reach it, and of these {right} are right, the {goal} "
        f"that are asked for. {promise(right, passed, chosen.target)}. Of the test images "
        f"{per_cent(selective['below_threshold'])} stay under it and would go to a person"
    )
    if "accuracy_above" in selective:
        text += f"; of the others {per_cent(selective['accuracy_above'])} are right"
    if "below_threshold" in unlabelled:
        text += f". Of the {unlabelled['images']} unlabelled images {per_cent(unlabelled['below_threshold'])} stay"
        text += " under it"
    return f"{text}."


def attention_section(results: Results) -> dict[str, Any] | None:
    """Return the `sentence` and the `rows`, or None where no map could be made."""
    found = [results[model].get("attention") for model in MODELS]
    if None in found:
        return None
    student, baseline = found
    images = student["images"]
    shown = f"On {images} test images with a marked defect" if images != 1 else "On one test image with a marked defect"
    sentence = (
        f"{shown}, {per_cent(student['energy_inside'])} of what speaks for the right class lies on the defect for "
        f"the student and {per_cent(baseline['energy_inside'])} for the baseline. A model that looked everywhere "
        f"alike would have {per_cent(student['mask_area'])}, the share of the picture that is marked."
    )
    rows = [
        ("Share of the map inside the mask", [*_cells(results, "attention", "energy_inside")]),
        ("Highest point inside the mask", [*_cells(results, "attention", "hit_rate")]),
    ]
    for (_, cells), name in zip(rows, ("energy_inside", "hit_rate"), strict=True):
        cells.append(_difference(results, f"attention/{name}"))
    return {"sentence": sentence, "rows": rows}


def _cells(results: Results, part: str, name: str) -> list[tuple[float | None, list[float] | None]]:
    return [_cell(results[model], part, name) for model in MODELS]


def _cell(values: Mapping[str, Any], part: str, name: str) -> tuple[float | None, list[float] | None]:
    return values[part].get(name), values["intervals"].get(part, {}).get(name)


def _difference(results: Results, name: str) -> tuple[float | None, list[float] | None]:
    return results["difference"].get(name), results["difference"]["intervals"].get(name)


def _of_100(share: float) -> str:
    return f"{100 * share:.0f}"
