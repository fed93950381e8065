"""Risk and coverage against hand-computed curves; thresholds that are reached, and those that are not."""

import numpy as np
import pytest

from defectdistill.evaluation.selective import (
    LEAST_ABOVE,
    choose_threshold,
    coverage_curve,
    images_to_show,
    least_share,
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


def enough(values):
    """Return each image as often as it takes for one alone to be enough above a threshold."""
    return np.repeat(np.array(values), LEAST_ABOVE)


def test_the_least_threshold_that_reaches_the_target():
    sure, right = enough(SURE), enough(RIGHT)
    assert choose_threshold(sure, right, 1.0) == 0.8
    assert choose_threshold(sure, right, 0.75) == 0.6
    assert choose_threshold(sure, right, 0.6) == 0.5


def test_too_few_images_above_are_no_threshold():
    sure = np.linspace(0.5, 1, 18)
    right = np.arange(18) >= 18 - LEAST_ABOVE
    assert choose_threshold(sure, right, 0.95) == np.floor(sure[18 - LEAST_ABOVE] * 1e6) / 1e6
    right[18 - LEAST_ABOVE] = False
    assert choose_threshold(sure, right, 0.95) is None


def test_certainty_that_knows_nothing_seldom_gets_a_threshold():
    """Of 18 images whose confidence has nothing to do with being right, two at the top are often both right."""
    rng = np.random.default_rng(0)
    found = [choose_threshold(rng.random(18), rng.random(18) < 0.6, 0.95) is not None for _ in range(500)]
    assert np.mean(found) < 0.12


@pytest.mark.parametrize(
    ("right", "images", "expected"), [(5, 5, 0.05 ** (1 / 5)), (59, 59, 0.05 ** (1 / 59)), (9, 10, 0.6058), (0, 4, 0.0)]
)
def test_the_least_share_is_the_lower_bound_of_clopper_and_pearson(right, images, expected):
    assert least_share(right, images) == pytest.approx(expected, abs=1e-4)


def test_how_many_right_answers_in_a_row_show_a_share():
    assert images_to_show(0.95) == 59
    assert least_share(59, 59) >= 0.95 > least_share(58, 58)


def test_no_threshold_where_the_most_certain_answer_is_wrong():
    assert choose_threshold(enough([0.9, 0.8]), enough([False, True]), 0.95) is None


def test_images_of_one_confidence_are_accepted_together():
    assert choose_threshold(enough([0.9, 0.9, 0.7]), enough([True, False, True]), 0.95) is None


def test_a_threshold_is_rounded_to_where_its_image_still_passes():
    sure = enough([2 / 3, 0.9])
    right = np.ones(len(sure), bool)
    threshold = choose_threshold(sure, right, 1.0)
    assert threshold == 0.666666
    found = resampled_threshold(sure, right, threshold, np.ones((1, len(sure))))
    assert (found["below_threshold"][0], found["accuracy_above"][0]) == (0.0, 1.0)


def test_share_under_a_threshold_and_accuracy_above_it():
    weights = np.array([[1.0, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    found = resampled_threshold(SURE, RIGHT, 0.65, weights)
    assert found["below_threshold"].tolist() == pytest.approx([0.4, 1.0])
    assert found["accuracy_above"][0] == pytest.approx(2 / 3)
    assert np.isnan(found["accuracy_above"][1])  # nothing above


def test_a_threshold_that_rounding_lowers_is_judged_by_all_that_pass_it():
    sure = np.r_[np.full(10, 1 - 1e-8), np.full(10, 1 - 4e-7)]
    right = np.arange(20) < 10
    assert choose_threshold(sure, right, 0.95) is None
    assert choose_threshold(sure, right, 0.5) == 0.999999
    rng = np.random.default_rng(0)
    for _ in range(50):
        sure, right = 1 - 10 ** rng.uniform(-8, -4, 60), rng.random(60) < 0.9
        threshold = choose_threshold(sure, right, 0.9)
        assert threshold is None or right[sure >= threshold].mean() >= 0.9
