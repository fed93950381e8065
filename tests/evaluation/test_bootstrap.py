"""Intervals against known cases: the binomial distribution, groups that repeat themselves, what cannot be told."""

import numpy as np
import pytest
from scipy import stats

from defectdistill.evaluation.bootstrap import interval, intervals, once, resample, resampled, weighted_mean


def mean_interval(values, groups, seed=0, rounds=4000):
    return interval(weighted_mean(np.asarray(values), resample(groups, rounds, seed)))


def test_interval_of_a_share_is_that_of_the_binomial_distribution():
    right = np.arange(200) < 160
    low, high = mean_interval(right, [str(row) for row in range(200)])
    expected = stats.binom(200, 0.8).ppf([0.025, 0.975]) / 200
    assert [low, high] == pytest.approx(expected, abs=0.011)  # two images


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(5).normal(size=80)
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert mean_interval(values, [str(row) for row in range(80)]) == pytest.approx(list(expected), abs=0.03)


def test_ten_photographs_of_each_object_tell_no_more_than_one():
    objects = np.random.default_rng(0).random(30)
    alone = mean_interval(objects, [str(row) for row in range(30)])
    repeated, groups = np.repeat(objects, 10), [str(row // 10) for row in range(300)]
    assert mean_interval(repeated, groups) == pytest.approx(alone, abs=0.02)
    too_narrow = mean_interval(repeated, [str(row) for row in range(300)])
    assert too_narrow[1] - too_narrow[0] < 0.5 * (alone[1] - alone[0])


def test_a_resample_draws_whole_groups():
    groups = ["a", "b", "a", "c"]
    weights = resample(groups, 500, 0)
    assert weights.shape == (500, 4)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert weights[:, [0, 1, 3]].mean(axis=0) == pytest.approx([1, 1, 1], abs=0.1)


def test_the_seed_decides():
    groups = [str(row) for row in range(20)]
    assert (resample(groups, 50, 3) == resample(groups, 50, 3)).all()
    assert (resample(groups, 50, 3) != resample(groups, 50, 4)).any()


def test_one_group_has_no_interval():
    weights = resample(["a", "a", "a"], 100, 0)
    samples = resampled(lambda drawn: {"mean": weighted_mean(np.arange(3.0), drawn)}, weights)
    assert intervals(samples, ["mean"]) == {}
    assert once(lambda drawn: {"mean": weighted_mean(np.arange(3.0), drawn)}, 3) == {"mean": 1.0}


def test_resamples_that_cannot_tell_are_left_out_and_too_few_give_nothing():
    values = np.array([0.0, 1.0, 2.0, np.nan])
    assert interval(values) == pytest.approx([0.05, 1.95])
    assert interval(np.array([1.0, np.nan, np.nan])) is None


def test_blocks_do_not_show(monkeypatch):
    weights = resample([str(row) for row in range(10)], 101, 0)

    def measure(drawn):
        return {"mean": weighted_mean(np.arange(10.0), drawn)}

    whole = resampled(measure, weights)["mean"]
    monkeypatch.setattr("defectdistill.evaluation.bootstrap.LARGEST_BLOCK", 70)
    np.testing.assert_allclose(resampled(measure, weights)["mean"], whole)
