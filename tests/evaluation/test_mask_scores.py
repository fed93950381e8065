import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from defectdistill.evaluation.mask_results import Segmented, mask_results
from defectdistill.evaluation.mask_scores import mask_scores, pixel_counts

CLASSES = ["dent", "rust & dust"]


def by_hand():
    """Two images of 2 × 4 pixels."""
    true = np.array([[[1, 1, 0, 0], [1, 1, 0, 0]], [[2, 2, 2, 0], [0, 0, 0, 0]]], np.uint8)
    found = np.array([[[1, 1, 1, 0], [1, 0, 0, 0]], [[2, 1, 0, 0], [0, 0, 0, 0]]], np.uint8)
    return found, true


def test_dice_and_iou_by_hand():
    counts = pixel_counts(*by_hand(), 2)
    assert counts[0].tolist() == [[3, 4, 4], [0, 0, 0], [3, 4, 4]]  # both, found, true of each class and of any
    assert counts[1].tolist() == [[0, 1, 0], [1, 1, 3], [2, 2, 3]]
    scores = {name: float(value[0]) for name, value in mask_scores(counts, CLASSES, np.ones((1, 2))).items()}
    dent, rust = 2 * 3 / (5 + 4), 2 * 1 / (1 + 3)
    assert scores["dice/dent"] == pytest.approx(dent)
    assert scores["dice/rust _ dust"] == pytest.approx(rust)
    assert scores["mean_dice"] == pytest.approx((dent + rust) / 2)
    assert scores["iou/dent"] == pytest.approx(3 / 6)
    assert scores["mean_iou"] == pytest.approx((3 / 6 + 1 / 3) / 2)
    assert scores["any_dice"] == pytest.approx(2 * 5 / (6 + 7))


def test_they_agree_with_scikit_learn_and_weights_stand_for_repeated_images():
    rng = np.random.default_rng(0)
    found, true = rng.integers(0, 4, (2, 5, 6, 7))
    weights = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2]])
    scores = mask_scores(pixel_counts(found, true, 3), ["a", "b", "c"], weights)
    for row, drawn in enumerate(weights):
        flat = [np.repeat(maps, drawn, axis=0).ravel() for maps in (true, found)]
        assert scores["mean_dice"][row] == pytest.approx(f1_score(*flat, labels=[1, 2, 3], average="macro"))
        assert scores["mean_iou"][row] == pytest.approx(jaccard_score(*flat, labels=[1, 2, 3], average="macro"))


def test_a_class_that_no_drawn_image_shows_is_left_out():
    scores = mask_scores(pixel_counts(*by_hand(), 2), CLASSES, np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert np.isnan(scores["dice/rust _ dust"][0])
    assert scores["mean_dice"][0] == scores["dice/dent"][0]
    assert np.isnan(scores["mean_dice"][1])


def test_label_maps_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"label maps are \(1, 2, 2\) and \(1, 2, 3\)"):
        pixel_counts(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), 1)


def test_results_hold_every_model_its_intervals_and_the_paired_difference():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, (12, 8, 8)).astype(np.uint8)
    noisy = {
        model: np.where(rng.random(true.shape) < share, true, 0)
        for model, share in (("student", 0.8), ("baseline", 0.5), ("teacher", 0.9))
    }
    images, names = np.zeros((12, 8, 8, 3), np.uint8), [f"{row}.png" for row in range(12)]
    said = Segmented(images, true, noisy, names, [str(row // 2) for row in range(12)], {"student": 10, "teacher": 20})
    results = mask_results(said, CLASSES, 200, 0)
    student, baseline = (results[model]["test"]["mean_dice"] for model in ("student", "baseline"))
    low, high = results["difference"]["intervals"]["mean_dice"]
    assert results["difference"]["mean_dice"] == pytest.approx(student - baseline)
    assert low <= student - baseline <= high
    assert low > 0
    assert results["student"]["intervals"]["test"]["mean_dice"][0] < student
    assert results["teacher"]["mean_dice"] > student
    assert (results["student"]["parameters"], results["student"]["test"]["images"]) == (10, 12)
    assert results["student"]["test"]["images/dent"] == 12
    same = mask_results(said, CLASSES, 200, 0)
    assert same == results
