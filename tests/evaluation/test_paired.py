"""McNemar's test, and the same by group, against scipy and against every sign tried."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from defectdistill.evaluation.paired import paired_comparison, sign_flip_p_value

RIGHT, WRONG = [0.9, 0.1], [0.1, 0.9]


def test_of_single_images_it_is_the_binomial_test():
    labels = np.zeros(12, dtype=int)
    student = np.array([RIGHT] * 9 + [WRONG] * 3)
    baseline = np.array([WRONG] * 7 + [RIGHT] * 3 + [WRONG] * 2)
    result = paired_comparison(student, baseline, labels, [str(n) for n in range(12)])
    assert (result["student_only"], result["baseline_only"], result["groups_differing"]) == (7, 1, 8)
    assert result["p_value"] == pytest.approx(binomtest(1, 8, 0.5).pvalue)
    same = paired_comparison(student, student, labels, [str(n) for n in range(12)])
    assert same == {"student_only": 0, "baseline_only": 0, "groups_differing": 0, "p_value": 1.0}


def test_thousands_of_images_stay_in_range():
    student = np.tile(RIGHT, (3000, 1))
    result = paired_comparison(student, student[:, ::-1], np.zeros(3000, dtype=int), [str(n) for n in range(3000)])
    assert result["p_value"] == 0.0


def test_photographs_of_one_object_are_one_witness():
    """Eight photographs of two objects: each object's difference has one sign, so the smallest p is a half."""
    student = np.tile(RIGHT, (8, 1))
    result = paired_comparison(student, student[:, ::-1], np.zeros(8, dtype=int), ["a"] * 4 + ["b"] * 4)
    assert (result["student_only"], result["groups_differing"], result["p_value"]) == (8, 2, 0.5)


@pytest.mark.parametrize("differences", [[3, -1, 0, 2, 2, -5], [1, 1, 1, -1], [4], [2, -2], [0, 0]])
def test_every_sign_is_tried(differences):
    differences = np.array(differences)
    signs = np.array(list(product((-1, 1), repeat=len(differences))))
    expected = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    assert sign_flip_p_value(differences) == pytest.approx(expected)


def test_equally_good_models_seldom_differ_by_it():
    """At a level of 0.05, photographs of a group alike; by photographs it would be one in three."""
    rng, found = np.random.default_rng(0), []
    groups = np.repeat(np.arange(20).astype(str), 5)
    for _ in range(300):
        student, baseline = (np.repeat(rng.random(20) < 0.7, 5) for _ in range(2))
        probs = [np.where(right[:, None], RIGHT, WRONG) for right in (student, baseline)]
        found.append(paired_comparison(*probs, np.zeros(100, dtype=int), groups)["p_value"])
    assert (np.array(found) < 0.05).mean() <= 0.08
