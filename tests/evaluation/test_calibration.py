"""Calibration scores and the temperature against hand-computed values, torchmetrics, torch and scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torchmetrics.classification import MulticlassCalibrationError

from defectdistill.evaluation.calibration import (
    HIGHEST,
    LOWEST,
    fit_temperature,
    reliability,
    resampled_calibration,
    scaled,
)


def drawn(images=400, sharpness=3.0, seed=0):
    """Return probabilities that are `sharpness` times too certain, and labels drawn from the honest ones."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(images, 4)) * 1.5
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in honest])
    return scaled(honest, 1 / sharpness), labels


def scores(probs, labels):
    values = resampled_calibration(np.asarray(probs), np.asarray(labels), np.ones((1, len(labels))))
    return {name: value[0] for name, value in values.items()}


def test_by_hand():
    probs = [[0.95, 0.05], [0.93, 0.07], [0.25, 0.75], [0.71, 0.29]]
    found = scores(probs, [0, 1, 1, 1])
    # Bins: two of 0.94 with one right, two of 0.73 with one right.
    assert found["ece"] == pytest.approx(0.5 * (0.94 - 0.5) + 0.5 * (0.73 - 0.5))
    assert found["brier"] == pytest.approx(2 * (0.05**2 + 0.93**2 + 0.25**2 + 0.71**2) / 4)


def test_error_agrees_with_torchmetrics():
    probs, labels = drawn()
    other = MulticlassCalibrationError(num_classes=4, n_bins=10, norm="l1")
    expected = other(torch.from_numpy(probs), torch.from_numpy(labels)).item()
    assert scores(probs, labels)["ece"] == pytest.approx(expected, abs=1e-6)


def test_weights_count_like_repeated_images():
    probs, labels = drawn(30)
    weights = np.random.default_rng(1).integers(0, 3, (2, 30))
    together = resampled_calibration(probs, labels, weights.astype(float))
    for row in range(2):
        picked = np.repeat(np.arange(30), weights[row])
        alone = scores(probs[picked], labels[picked])
        assert {name: values[row] for name, values in together.items()} == pytest.approx(alone)


def test_bins_hold_every_image_and_say_nothing_where_there_is_none():
    bins = reliability(np.array([[1.0, 0.0], [0.65, 0.35], [0.61, 0.39]]), np.array([0, 1, 0]))
    assert bins["images"].tolist() == [0, 0, 0, 0, 0, 0, 2, 0, 0, 1]
    assert bins["accuracy"][[6, 9]].tolist() == [0.5, 1.0]
    assert bins["confidence"][6] == pytest.approx(0.63)
    assert np.isnan(bins["accuracy"][0])


def test_the_temperature_undoes_what_was_made_too_certain():
    probs, labels = drawn(4000, sharpness=3.0)
    found = fit_temperature(probs, labels)
    assert found.how == "fitted"
    assert found.value == pytest.approx(3.0, rel=0.1)
    assert scores(scaled(probs, found.value), labels)["ece"] < 0.3 * scores(probs, labels)["ece"]


def test_the_temperature_is_the_one_that_torch_finds():
    probs, labels = drawn(300)
    logits, target = torch.from_numpy(np.log(probs)), torch.from_numpy(labels)
    inverse = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([inverse], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = functional.cross_entropy(logits * inverse, target)
        loss.backward()
        return loss

    optimiser.step(closure)
    assert fit_temperature(probs, labels).value == pytest.approx(1 / inverse.item(), rel=1e-4)


@given(st.integers(0, 10_000), st.floats(0.2, 6.0), st.integers(1, 25))
def test_never_worse_on_the_validation_split_and_never_another_class(seed, sharpness, images):
    probs, labels = drawn(images, sharpness, seed)
    found = fit_temperature(probs, labels)
    assert LOWEST <= found.value <= HIGHEST
    after = scaled(probs, found.value)
    before_loss, after_loss = (-np.log(each[np.arange(len(labels)), labels]).mean() for each in (probs, after))
    assert after_loss <= before_loss + 1e-6
    assert (after.argmax(axis=1) == probs.argmax(axis=1)).all()


def test_a_validation_split_without_a_mistake_teaches_no_temperature():
    found = fit_temperature(np.array([[0.6, 0.4], [0.45, 0.55]]), np.array([0, 1]))
    assert (found.value, found.how) == (1.0, "separated")


def test_one_mistake_that_is_certain_goes_on_costing():
    """A likelihood clipped at 1e-12 would have made all others certain too: T = 0.1."""
    logits = np.array([[2.0, 0.0]] * 99 + [[20.0, 0.0]])
    labels = np.array([0] * 99 + [1])
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = fit_temperature(probs, labels)
    assert found.how == "fitted"
    around = [0.5, 0.8 * found.value, found.value, 1.2 * found.value, 2.0]
    losses = [-functional.log_softmax(torch.from_numpy(logits / t), 1)[range(100), labels].mean() for t in around]
    assert min(losses) == losses[2]


def test_always_wrong_ends_at_the_bound():
    found = fit_temperature(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([1, 0]))
    assert (found.value, found.how) == (HIGHEST, "bounded")


def test_probabilities_of_zero_stay_finite():
    probs, labels = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 1, 1])
    assert np.isfinite(scaled(probs, fit_temperature(probs, labels).value)).all()
    assert scaled(probs[:0], 2.0).shape == (0, 2)


def test_a_temperature_of_one_changes_nothing():
    probs, _ = drawn(20)
    np.testing.assert_allclose(scaled(probs, 1.0), probs, rtol=1e-12)


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="from 0 to 7; expected integers from 0 to 3"):
        fit_temperature(np.full((2, 4), 0.25), np.array([0, 7]))
