"""What evaluate.json holds: every measured value of student, baseline and teacher, and its interval beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from defectdistill.evaluation.bootstrap import Measures, intervals, once, resample, resampled
from defectdistill.evaluation.class_activation import pointing, resampled_pointing
from defectdistill.evaluation.gathered import MODELS, Pixels, Predicted
from defectdistill.evaluation.measures import Chosen, joined, labelled_measures, unlabelled_measures
from defectdistill.evaluation.paired import paired_comparison
from defectdistill.evaluation.scores import (
    metric_names,
    overlaps,
    resampled_scores,
    segmentation_scores,
)
from defectdistill.evaluation.uncertainty import class_counts

Results = dict[str, dict[str, Any]]


def evaluation_results(
    test: Predicted,
    unlabelled: Predicted,
    pixels: Pixels | None,
    chosen: Mapping[str, Chosen],
    classes: Sequence[str],
    resamples: int,
    seed: int,
) -> Results:
    """Return everything that is measured, by whose it is, with intervals of `resamples` resamples.

    `student` and `baseline` each hold `test` (the scores, `ece`, `brier`, confidence and entropy), `calibrated` (of the
    test split again, with the temperature), `selective` (threshold, risk and coverage), `attention` (of the test images
    whose mask is not empty), `unlabelled`, and `intervals`: [low, high] under the same names. `teacher` holds its
    Dice and IoU, accuracy and macro-F1 of its answers if it knows the classes, and their `intervals`; `difference`
    student − baseline, the names of `test` without the word, others with their part in front, and `intervals` of
    the paired difference; `paired` is from `paired_comparison`. A value that the images cannot give is left out.
    """
    values, ends = _measured(_on_test(test, pixels, chosen, classes), test.groups, resamples, seed)
    more, more_ends = _measured(_on_unlabelled(unlabelled, chosen, classes), unlabelled.groups, resamples, seed)
    values, ends, names = values | more, ends | more_ends, metric_names(classes)
    results: Results = {owner: _nested(values, owner) for owner in (*MODELS, "teacher", "difference")}
    for owner, group in results.items():
        group["intervals"] = _nested(ends, owner)
    for model in MODELS:
        results[model].setdefault("unlabelled", {}).update(class_counts(unlabelled.probs[model], names))
        results[model]["test"] |= class_counts(test.probs[model], names, test.labels)
        _add_choice(results[model], chosen[model])
        if "attention" in results[model]:
            results[model]["attention"]["images"] = len(_with_defect(pixels))
    if _judged(pixels, len(test.names)).any():
        results["teacher"]["images"] = int(pixels.masked.sum())
    elif pixels is None or pixels.answers is None:
        results["teacher"] = {}
    results["paired"] = paired_comparison(test.probs["student"], test.probs["baseline"], test.labels, test.groups)
    return results


def _measured(
    measure: Callable[[np.ndarray], Measures], groups: Sequence[str], resamples: int, seed: int
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return the values of the images as they are, and the intervals of these."""
    values = once(measure, len(groups))
    # Few images make a calibration error too large, their resamples larger still: of it there is no such interval.
    told = [name for name in values if not name.endswith("/ece")]
    return values, intervals(resampled(measure, resample(groups, resamples, seed)), told)


def _on_test(test: Predicted, pixels: Pixels | None, chosen: Mapping[str, Chosen], classes: Sequence[str]):
    """Return the function of weights that measures everything on the test split, by owner/part/name."""
    rows = _with_defect(pixels) if pixels is not None else np.array([], dtype=int)
    maps = pixels.maps if len(rows) else {}
    pointed = {model: pointing(each[rows], pixels.masks[rows]) for model, each in maps.items()}
    masked = _judged(pixels, len(test.names))
    overlap = overlaps(pixels.found[masked], pixels.masks[masked]) if masked.any() else np.zeros((0, 2))

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        models = {
            model: labelled_measures(test.probs[model], test.labels, classes, chosen[model], weights)
            for model in MODELS
        }
        for model, each in pointed.items():
            models[model] |= joined({"attention": resampled_pointing(each, rows, weights)})
        teacher = segmentation_scores(overlap, weights[:, masked])
        if pixels is not None and pixels.answers is not None:
            scores = resampled_scores(pixels.answers, test.labels, classes, weights)
            teacher |= {name: scores[name] for name in ("accuracy", "macro_f1")}
        return joined({**models, "teacher": teacher, "difference": _differences(models)})

    return measure


def _judged(pixels: Pixels | None, images: int) -> np.ndarray:
    """Return of which test images the teacher's segmentation can be judged, bool (N,): none of a classifier."""
    known = pixels is not None and pixels.found is not None
    return pixels.masked if known else np.zeros(images, dtype=bool)


def _on_unlabelled(unlabelled: Predicted, chosen: Mapping[str, Chosen], classes: Sequence[str]):
    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        probs = unlabelled.probs
        return joined({model: unlabelled_measures(probs[model], classes, chosen[model], weights) for model in MODELS})

    return measure


def _differences(models: Mapping[str, Measures]) -> dict[str, np.ndarray]:
    student, baseline = (models[model] for model in MODELS)
    shared = [name for name in student if name in baseline and not name.endswith("/mask_area")]
    return {name.removeprefix("test/"): student[name] - baseline[name] for name in shared}


def _nested(values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return what belongs to `owner`: {part: {name: value}} for a model, else {name: value}."""
    own = {name.removeprefix(f"{owner}/"): value for name, value in values.items() if name.startswith(f"{owner}/")}
    if owner not in MODELS:
        return own
    parts: dict[str, Any] = {}
    for name, value in own.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = value
    return parts


def _with_defect(pixels: Pixels) -> np.ndarray:
    """Return the rows of the images whose mask shows something."""
    return np.array([row for row in np.flatnonzero(pixels.masked) if pixels.masks[row].any()], dtype=int)


def _add_choice(group: dict[str, Any], chosen: Chosen) -> None:
    group["selective"] |= {
        "target_accuracy": chosen.target,
        "validation_images": chosen.validation_images,
        "validation_above": chosen.validation_above,
        "validation_right": chosen.validation_right,
    }
    if chosen.threshold is not None:
        group["selective"]["threshold"] = chosen.threshold
    if chosen.is_calibrated:
        group["calibrated"]["temperature"] = chosen.temperature.value
