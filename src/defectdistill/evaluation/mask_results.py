"""What evaluate.json holds of students that segment: Dice and IoU of student, baseline and teacher, with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from defectdistill.evaluation.bootstrap import intervals, once, resample, resampled
from defectdistill.evaluation.mask_scores import mask_scores, pixel_counts
from defectdistill.evaluation.scores import metric_names

Results = dict[str, dict[str, Any]]
MODELS = ("student", "baseline", "teacher")


@dataclass(frozen=True)
class Segmented:
    """What the models say of N test images that have a mask.

    `images` uint8 (N, S, S, 3), `true` and `found` {model: …} label maps uint8 (N, S, S), `names` and `groups` (N);
    `parameters` {model: how many}. Of a teacher that tells no classes apart `found` has none.
    """

    images: np.ndarray
    true: np.ndarray
    found: Mapping[str, np.ndarray]
    names: Sequence[str]
    groups: Sequence[str]
    parameters: Mapping[str, int]


def mask_results(said: Segmented, classes: Sequence[str], resamples: int, seed: int) -> Results:
    """Return everything that is measured, by whose it is, with intervals of `resamples` resamples by group.

    `student` and `baseline` hold `test` and `intervals` ([low, high] under the same names), `teacher` the same without
    the word `test`; `difference` is student − baseline, paired: both on the same draws.
    """
    counts = {model: pixel_counts(found, said.true, len(classes)) for model, found in said.found.items()}

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        values = {model: mask_scores(each, classes, weights) for model, each in counts.items()}
        values["difference"] = {
            name: values["student"][name] - baseline for name, baseline in values["baseline"].items()
        }
        return {f"{owner}/{name}": value for owner, of in values.items() for name, value in of.items()}

    found = once(measure, len(said.groups))
    ends = intervals(resampled(measure, resample(said.groups, resamples, seed)), list(found))
    results: Results = {}
    for owner in (*MODELS, "difference"):
        own, own_ends = _of(found, owner), _of(ends, owner)
        is_pair = owner in ("student", "baseline")
        results[owner] = {"test": own, "intervals": {"test": own_ends}} if is_pair else own | {"intervals": own_ends}
        if owner in said.parameters:
            results[owner]["parameters"] = said.parameters[owner]
    for model in ("student", "baseline"):
        results[model]["test"] |= {"images": len(said.names), **_shown(said.true, classes)}
    return results


def _of(values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    return {name.removeprefix(f"{owner}/"): value for name, value in values.items() if name.startswith(f"{owner}/")}


def _shown(true: np.ndarray, classes: Sequence[str]) -> dict[str, int]:
    """Return how many images show each class."""
    shown = {metric: int((true == row + 1).any(axis=(1, 2)).sum()) for row, metric in enumerate(metric_names(classes))}
    return {f"images/{metric}": count for metric, count in shown.items()}
