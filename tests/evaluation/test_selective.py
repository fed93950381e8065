"""Risk and coverage against hand-computed curves; thresholds that are reached, and those that are not."""

import numpy as np
import pytest

from defectdistill.evaluation.selective import (
    choose_threshold,
    coverage_curve,
    resampled_selection,
    resampled_threshold,
)

SURE = np.array([0.5, 0.9, 0.7, 0.8, 0.6])
RIGHT = np.array([False, True, False, True, True])


def selection(sure, right, weights=None):
    weights = np.ones((1, len(sure))) if weights is None else weights
    return {name: values[0] for name, values in resampled_selection(sure, right, weights).items()}


def test_curve_by_hand():
    share, accuracy = coverage_curve(SURE, RIGHT)
    assert share.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert accuracy.tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5])


def test_area_and_accuracies_by_hand():
    found = selection(SURE, RIGHT)
    assert found["aurc"] == pytest.approx((0 + 0 + 1 / 3 + 1 / 4 + 2 / 5) / 5)
    assert found["accuracy_without_20"] == pytest.approx(3 / 4)
    assert found["accuracy_without_30"] == pytest.approx(2.5 / 3.5)  # half of the image at the border, which is right
    assert found["accuracy_without_10"] == pytest.approx(3 / 4.5)


def test_the_best_and_the_worst_order():
    right = np.arange(100) >= 20
    best, worst = selection(np.linspace(0.5, 1, 100), right), selection(np.linspace(1, 0.5, 100), right)
    assert best["accuracy_without_20"] == 1.0
    assert worst["accuracy_without_20"] == pytest.approx(0.75)
    assert best["aurc"] < 0.2 < worst["aurc"]


def test_without_any_order_nothing_is_won():
    found = selection(np.full(10, 0.8), np.arange(10) < 7)
    assert found == pytest.approx(
        {"aurc": 0.3, "accuracy_without_10": 0.7, "accuracy_without_20": 0.7, "accuracy_without_30": 0.7}
    )


def test_weights_count_like_repeated_images():
    generator = np.random.default_rng(0)
    sure, right, weights = generator.random(40), generator.random(40) < 0.7, generator.integers(0, 3, 40)
    picked = np.repeat(np.arange(40), weights)
    assert selection(sure, right, weights[None].astype(float)) == pytest.approx(selection(sure[picked], right[picked]))


def test_the_least_threshold_that_reaches_the_target():
    assert choose_threshold(SURE, RIGHT, 1.0) == 0.8
    assert choose_threshold(SURE, RIGHT, 0.75) == 0.6
    assert choose_threshold(SURE, RIGHT, 0.6) == 0.5


def test_no_threshold_where_the_most_certain_answer_is_wrong():
    assert choose_threshold(np.array([0.9, 0.8]), np.array([False, True]), 0.95) is None


def test_images_of_one_confidence_are_accepted_together():
    assert choose_threshold(np.array([0.9, 0.9, 0.7]), np.array([True, False, True]), 0.95) is None


def test_a_threshold_is_rounded_to_where_its_image_still_passes():
    sure = np.array([2 / 3, 0.9])
    threshold = choose_threshold(sure, np.array([True, True]), 1.0)
    assert threshold == 0.666666
    found = resampled_threshold(sure, np.array([True, True]), threshold, np.ones((1, 2)))
    assert (found["below_threshold"][0], found["accuracy_above"][0]) == (0.0, 1.0)


def test_share_under_a_threshold_and_accuracy_above_it():
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    found = resampled_threshold(SURE, RIGHT, 0.65, weights)
    assert found["below_threshold"].tolist() == pytest.approx([0.4, 1.0])
    assert found["accuracy_above"][0] == pytest.approx(2 / 3)
    assert np.isnan(found["accuracy_above"][1])  # nothing above
