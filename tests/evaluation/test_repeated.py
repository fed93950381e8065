"""Repeated trainings compared: against SciPy, and by hand where it has no such test."""

import numpy as np
import pytest
from scipy import stats

from defectdistill.evaluation.repeated import Training, compare, plot_trainings

STUDENT, BASELINE = [0.91, 0.85, 0.88, 0.95, 0.90], [0.80, 0.83, 0.79, 0.90, 0.82]


def trainings(splits=5, seeds=1):
    return [
        Training(f"fold {fold}", f"seed {seed}", STUDENT[fold] + 0.01 * seed, BASELINE[fold] - 0.02 * seed)
        for fold in range(splits)
        for seed in range(seeds)
    ]


def test_without_correction_it_is_the_paired_t_test():
    found, expected = compare(trainings(), 0.0), stats.ttest_rel(STUDENT, BASELINE)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.difference == pytest.approx(np.mean(STUDENT) - np.mean(BASELINE))
    assert found.student == pytest.approx((np.mean(STUDENT), np.std(STUDENT, ddof=1)))
    assert (found.units, found.over, found.trainings) == (5, "splits", 5)


def test_splits_share_training_photographs_and_the_interval_is_wider_by_that():
    """Nadeau and Bengio 2003: the variance is s²·(1/n + test/train)."""
    plain, corrected = compare(trainings(), 0.0), compare(trainings(), 1 / 3)
    wider = np.sqrt((1 / 5 + 1 / 3) / (1 / 5))
    assert (corrected.high - corrected.low) / (plain.high - plain.low) == pytest.approx(wider)
    assert corrected.p_value > plain.p_value


def test_seeds_of_one_split_are_no_further_witnesses():
    once, thrice = compare(trainings(), 0.25), compare(trainings(seeds=3), 0.25)
    assert (thrice.units, thrice.trainings) == (5, 15)
    assert thrice.difference == pytest.approx(once.difference + 0.03)
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low)


def test_seeds_alone_say_so_and_one_training_has_no_interval():
    seeds = compare(trainings(splits=1, seeds=4), 0.25)
    assert (seeds.units, seeds.over) == (4, "seeds")
    assert seeds.low < seeds.difference < seeds.high
    alone = compare(trainings(splits=1), 0.25)
    assert alone.units == 1
    assert np.isnan([alone.low, alone.high, alone.p_value]).all()


def test_equal_differences_tell_nothing_of_how_they_vary():
    """Of few photographs they are whole steps, and equal by chance; in floats they differ in the last bit."""
    found = compare(
        [Training(f"{fold}", "", right / 17, (right - 1) / 17) for fold, right in enumerate((12, 11, 10))], 0.5
    )
    assert found.difference == pytest.approx(1 / 17)
    assert np.isnan([found.low, found.high, found.p_value]).all()


def test_the_picture_is_the_same_bytes_again(tmp_path):
    first = plot_trainings(tmp_path / "a.png", trainings(seeds=2), "test/macro_f1").read_bytes()
    assert first == plot_trainings(tmp_path / "b.png", trainings(seeds=2), "test/macro_f1").read_bytes()
    assert first[:4] == b"\x89PNG"
