import numpy as np
import pytest
from scipy import stats

from defectdistill.evaluation.ablation import Images, Trained, covered, score_rows
from defectdistill.evaluation.bootstrap import interval, seed_part
from defectdistill.evaluation.scores import classification_scores

CLASSES, SEEDS = ["a", "b"], 3
LABELS = np.tile([0, 1], 30)
IMAGES = Images(LABELS, [str(n) for n in range(60)], [str(n) for n in range(20)], CLASSES)


def answers(right, rng):
    """Return probabilities (60, 2) of which a share of about `right` is right."""
    said = np.where(rng.random(60) < right, LABELS, 1 - LABELS)
    return np.where(np.eye(2)[said] == 1, 0.9, 0.1)


def row(right, seed=0):
    rng = np.random.default_rng(seed)
    unlabelled = np.full((SEEDS, 20, 2), 0.5)
    return Trained(np.stack([answers(right, rng) for _ in range(SEEDS)]), unlabelled)


def scored(rows, **more):
    return score_rows(rows, IMAGES, "none", **{"rounds": 500, "seed": 0} | more)


def test_values_are_means_over_the_seeds():
    rows = {"none": row(0.6), "better": row(0.9, 1)}
    found = scored(rows)
    for name, trained in rows.items():
        each = [classification_scores(probs, LABELS, CLASSES) for probs in trained.test]
        for value in ("accuracy", "macro_f1", "loss"):
            mean, (low, high) = found[name].values[value]
            assert mean == pytest.approx(np.mean([scores[value] for scores in each]))
            assert low < mean < high
    doubt, ends = found["none"].values["average_entropy"]
    assert [doubt, *ends] == pytest.approx([np.log(2)] * 3, abs=1e-6)
    assert found["none"].values["average_confidence"][0] == 0.5


def test_a_clear_difference_is_outside_the_noise_and_the_reference_has_none():
    found = scored({"none": row(0.5), "better": row(0.95, 1), "same": row(0.5)})
    assert found["none"].difference is None
    assert found["better"].difference[1][0] > 0
    assert found["same"].difference == (0.0, [0.0, 0.0])  # the very same answers: paired


def test_seeds_that_differ_widen_an_interval():
    alike = Trained(np.stack([row(0.7).test[0]] * SEEDS), row(0.7).unlabelled)
    rng = np.random.default_rng(5)
    apart = Trained(np.stack([answers(right, rng) for right in (0.4, 0.7, 1.0)]), alike.unlabelled)
    found = scored({"none": alike, "apart": apart})
    width = {name: np.diff(found[name].values["accuracy"][1])[0] for name in found}
    assert width["apart"] > 1.5 * width["none"]


def test_one_seed_and_no_image_without_a_label():
    images = Images(LABELS, IMAGES.groups, [], CLASSES)
    rows = {name: Trained(row(right).test[:1], np.empty((1, 0, 2))) for name, right in (("none", 0.6), ("more", 0.9))}
    found = score_rows(rows, images, "none", 300, 0)
    assert set(found["more"].values) == {"accuracy", "macro_f1", "loss"}
    assert found["more"].difference[1][0] < found["more"].difference[0] < found["more"].difference[1][1]


def test_the_seeds_part_is_students_interval_of_the_mean():
    scores = np.array([0.5, 0.58, 0.53])
    low, high = interval(scores.mean() + seed_part(3, 200_000, 0) @ scores)
    expected = stats.t.interval(0.95, 2, scores.mean(), stats.sem(scores))
    assert (low, high) == pytest.approx(expected, rel=0.05)
    assert (seed_part(1, 4, 0) == 0).all()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_interval_over_seeds_holds_the_truth_as_often_as_it_says(seeds):
    rng, held = np.random.default_rng(0), []
    for number in range(400):
        low, high = interval(seed_part(seeds, 1000, number) @ (scores := rng.normal(size=seeds)) + scores.mean())
        held.append(low <= 0 <= high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_an_interval_holds_nothing_that_the_score_cannot_be():
    rng = np.random.default_rng(5)
    pair = Trained(np.stack([answers(right, rng) for right in (0.5, 0.95)]), np.empty((2, 0, 2)))
    images = Images(LABELS, IMAGES.groups, [], CLASSES)
    found = score_rows({"none": pair}, images, "none", 500, 0)["none"].values
    assert found["accuracy"][1] == [0.0, 1.0]
    assert found["loss"][1][0] == 0.0 < 1.0 < found["loss"][1][1]


def test_a_table_says_what_its_intervals_know_of():
    assert "over the test images alone" in covered(1)
    assert covered(3) == "Intervals: 95 %, over test images and seeds (Student's t of 3)."
