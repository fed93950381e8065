"""Average confidence and average entropy against values computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectdistill.evaluation.bootstrap import once
from defectdistill.evaluation.uncertainty import average_confidence, average_entropy, class_counts, resampled_averages
from defectdistill.probabilities import entropy

PROBS = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.0, 1.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
CLASSES = ["a", "b", "c"]


def test_average_confidence_by_hand():
    assert average_confidence(PROBS) == pytest.approx((0.5 + 0.8 + 1.0 + 1 / 3) / 4, abs=1e-12)


def test_average_entropy_by_hand():
    first = 0.5 * math.log(2) + 2 * 0.25 * math.log(4)
    second = -(0.8 * math.log(0.8) + 0.2 * math.log(0.1))
    assert average_entropy(PROBS) == pytest.approx((first + second + 0.0 + math.log(3)) / 4, abs=1e-12)


def test_certain_predictions_have_entropy_zero_without_a_sign():
    values = entropy(np.eye(3))
    assert values.tolist() == [0.0, 0.0, 0.0]
    assert not np.signbit(values).any()


def test_probability_at_the_smallest_float_stays_finite():
    assert entropy(np.array([[5e-324, 1.0]])).item() == pytest.approx(0.0, abs=1e-300)


@given(arrays(np.float64, (5, 4), elements=st.floats(0.0, 1.0)))
def test_bounds(raw):
    probs = (raw + 1e-6) / (raw + 1e-6).sum(axis=1, keepdims=True)
    assert 0.25 - 1e-12 <= average_confidence(probs) <= 1.0
    assert 0.0 <= average_entropy(probs) <= math.log(4) + 1e-12


def test_unlabelled_images_are_counted_by_the_argmax():
    counts = class_counts(PROBS, CLASSES)  # the tie of the last row goes to the first class
    assert counts == {"images": 4, "images/a": 2, "images/b": 2, "images/c": 0}
    averages = once(lambda weights: resampled_averages(PROBS, CLASSES, weights), 4)
    assert averages["confidence/b"] == pytest.approx(0.9)
    assert averages["average_entropy"] == pytest.approx(average_entropy(PROBS))
    assert "confidence/c" not in averages


def test_labelled_images_are_counted_by_their_class():
    labels = np.array([2, 2, 0, 0])
    assert class_counts(PROBS, CLASSES, labels) == {"images": 4, "images/a": 2, "images/b": 0, "images/c": 2}
    weights = np.array([[1.0, 1, 1, 1], [3, 1, 0, 0]])
    averages = resampled_averages(PROBS, CLASSES, weights, labels)
    assert averages["confidence/c"].tolist() == pytest.approx([0.65, (3 * 0.5 + 0.8) / 4])
    assert averages["entropy/a"][0] == pytest.approx(math.log(3) / 2)
    assert np.isnan(averages["entropy/a"][1])


def test_no_image_has_no_average():
    nothing = np.zeros((0, 2))
    assert class_counts(nothing, ["a", "b"]) == {"images": 0, "images/a": 0, "images/b": 0}
    assert once(lambda weights: resampled_averages(nothing, ["a", "b"], weights), 0) == {}


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        (np.array([[2.0, -1.0]]), r"apply the softmax"),
        (np.array([[0.2, 0.3]]), r"row 0 of probs sums to 0.5"),
        (np.array([[np.nan, 0.5]]), r"finite"),
        (np.array([0.5, 0.5]), r"shape \(2,\)"),
        (np.zeros((0, 3)), r"0 images"),
    ],
)
def test_refuses(probs, message):
    with pytest.raises(ValueError, match=message):
        average_entropy(probs)
