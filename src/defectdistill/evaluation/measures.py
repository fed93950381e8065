"""Everything that is measured of a model, as functions of how often each image was drawn (see `bootstrap`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from defectdistill.evaluation.bootstrap import weighted_mean
from defectdistill.evaluation.calibration import OFF, Temperature, fit_temperature, resampled_calibration, scaled
from defectdistill.evaluation.scores import checked, metric_names, negative_log_likelihood, resampled_scores
from defectdistill.evaluation.selective import choose_threshold, resampled_selection, resampled_threshold
from defectdistill.evaluation.uncertainty import resampled_averages
from defectdistill.probabilities import confidence, entropy


@dataclass(frozen=True)
class Chosen:
    """What was chosen for one model on the validation split.

    `threshold` on the calibrated confidence, None where none reaches `target`; `validation_above` of the
    `validation_images` pass it, `validation_right` of these are right.
    """

    temperature: Temperature
    threshold: float | None
    target: float
    validation_images: int
    validation_above: int
    validation_right: int

    @property
    def is_calibrated(self) -> bool:
        """Whether a temperature was looked for."""
        return self.temperature.how != OFF


def choose(probs: np.ndarray, labels: np.ndarray, calibrate: bool, target: float) -> Chosen:
    """Choose temperature and threshold of a model; `probs` is (N, K) on the validation split, `labels` int (N,)."""
    probs, labels = checked(probs, labels, np.shape(probs)[1])
    temperature = fit_temperature(probs, labels) if calibrate else Temperature(1.0, OFF)
    sure, right = confidence(scaled(probs, temperature.value)), probs.argmax(axis=1) == labels
    threshold = choose_threshold(sure, right, target)
    above = sure >= (np.inf if threshold is None else threshold)
    return Chosen(temperature, threshold, target, len(labels), int(above.sum()), int((above & right).sum()))


def labelled_measures(
    probs: np.ndarray, labels: np.ndarray, classes: Sequence[str], chosen: Chosen, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what a model's probabilities (N, K) on the test split are worth in each resample, (R,) by name.

    `test/…` as they are; `calibrated/…` with the temperature, if one was asked for; `selective/…`, by calibrated
    confidence. `weights` is (R, N).
    """
    calibrated, right = scaled(probs, chosen.temperature.value), probs.argmax(axis=1) == labels
    sure = confidence(calibrated)
    measures = {
        "test": {
            **resampled_scores(probs, labels, classes, weights),
            **resampled_averages(probs, metric_names(classes), weights, labels),
            **resampled_calibration(probs, labels, weights),
        },
        "selective": resampled_selection(sure, right, weights),
    }
    if chosen.threshold is not None:
        measures["selective"] |= resampled_threshold(sure, right, chosen.threshold, weights)
    if chosen.is_calibrated:
        measures["calibrated"] = {
            **resampled_calibration(calibrated, labels, weights),
            "loss": weighted_mean(negative_log_likelihood(calibrated, labels), weights),
            "average_confidence": weighted_mean(sure, weights),
            "average_entropy": weighted_mean(entropy(calibrated), weights),
        }
    return joined(measures)


def unlabelled_measures(
    probs: np.ndarray, classes: Sequence[str], chosen: Chosen, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what a model says of unlabelled images, (M, K), in each resample: (R,) by name, `unlabelled/…`."""
    sure = confidence(scaled(probs, chosen.temperature.value))
    values = resampled_averages(probs, metric_names(classes), weights)
    if chosen.is_calibrated:
        values["calibrated_confidence"] = weighted_mean(sure, weights)
    if chosen.threshold is not None:
        values["below_threshold"] = weighted_mean(sure < chosen.threshold, weights)
    return joined({"unlabelled": values})


def joined(parts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return {part: {name: values}} as {part/name: values}."""
    return {f"{part}/{name}": values for part, group in parts.items() for name, values in group.items()}
