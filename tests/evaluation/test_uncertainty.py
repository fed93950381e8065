"""Average confidence and average entropy against values computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from defectdistill.evaluation.uncertainty import (
    average_confidence,
    average_entropy,
    entropy,
    per_predicted_class,
    per_true_class,
    summary,
)

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


def test_per_predicted_class_groups_by_the_argmax():
    result = per_predicted_class(PROBS, CLASSES)
    assert [result[name]["images"] for name in CLASSES] == [2, 2, 0]  # the tie of the last row goes to the first class
    assert result["b"]["average_confidence"] == pytest.approx(0.9)
    assert result["c"] == {"images": 0}


def test_per_true_class_groups_by_the_labels():
    result = per_true_class(PROBS, np.array([2, 2, 0, 0]), CLASSES)
    assert [result[name]["images"] for name in CLASSES] == [2, 0, 2]
    assert result["c"]["average_confidence"] == pytest.approx(0.65)
    assert result["a"]["average_entropy"] == pytest.approx(math.log(3) / 2)


def test_summary_of_no_image_has_no_average():
    assert summary(np.zeros((0, 2)), ["a", "b"]) == {"images": 0, "classes": {"a": {"images": 0}, "b": {"images": 0}}}


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
