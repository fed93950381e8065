"""Classification and segmentation scores against values computed by hand, and against other libraries."""

import math
import posixpath
import re

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import f1_score, jaccard_score

from defectdistill.evaluation.scores import (
    classification_scores,
    confusion,
    metric_names,
    overlaps,
    resampled_scores,
    segmentation_scores,
)

CLASSES = ["short_circuit", "fire", "flame"]
LABELS = np.array([0, 0, 0, 1, 1, 2])
# Predicted 0 0 1 1 1 0: flame is never predicted.
PROBS = np.array(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.05, 0.9, 0.05], [0.5, 0.1, 0.4]]
)


def test_classification_scores_by_hand():
    scores = classification_scores(PROBS, LABELS, CLASSES)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall/short_circuit"] == pytest.approx(2 / 3)
    assert scores["precision/short_circuit"] == pytest.approx(2 / 3)
    assert scores["recall/fire"] == 1.0
    assert scores["precision/fire"] == pytest.approx(2 / 3)
    assert scores["f1/fire"] == pytest.approx(0.8)
    assert scores["f1/flame"] == scores["recall/flame"] == scores["precision/flame"] == 0.0
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 0.8 + 0) / 3)
    assert scores["macro_recall"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["g_mean"] == 0.0
    assert scores["loss"] == pytest.approx(-sum(map(math.log, (0.7, 0.6, 0.3, 0.7, 0.9, 0.4))) / 6)
    # Pairs (positive, negative) in the right order: 8 of 9, 8 of 8, 5 of 5.
    assert scores["auc/short_circuit"] == pytest.approx(8 / 9)
    assert scores["auc/fire"] == pytest.approx(1.0)
    assert scores["auc/flame"] == pytest.approx(1.0)
    assert scores["macro_auc"] == pytest.approx((8 / 9 + 2) / 3)


def test_g_mean_is_the_geometric_mean_of_the_recalls():
    probs = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [1, 0], [1, 0]], dtype=float)
    scores = classification_scores(probs, np.array([0, 0, 0, 0, 1, 0]), ["a", "b"])
    assert scores["g_mean"] == 0.0
    scores = classification_scores(probs, np.array([0, 0, 0, 0, 0, 1]) ^ 1, ["a", "b"])
    assert scores["g_mean"] == pytest.approx(math.sqrt(1.0 * 0.4))


def test_certain_and_right_gives_a_loss_of_zero_without_a_sign():
    scores = classification_scores(np.eye(2), np.array([0, 1]), ["a", "b"])
    assert scores["loss"] == 0.0
    assert math.copysign(1, scores["loss"]) == 1
    assert scores["accuracy"] == scores["macro_auc"] == scores["g_mean"] == 1.0


def test_certain_and_wrong_costs_the_clipped_logarithm():
    scores = classification_scores(np.array([[0.0, 1.0]]), np.array([0]), ["a", "b"])
    assert scores["loss"] == pytest.approx(12 * math.log(10))


def test_class_without_a_test_image_is_left_out_of_means_and_keys():
    scores = classification_scores(PROBS[:5], LABELS[:5], CLASSES)
    assert not [name for name in scores if name.endswith("/flame")]
    assert scores["macro_recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["g_mean"] == pytest.approx(math.sqrt(2 / 3))


def test_one_class_only_has_no_auc():
    scores = classification_scores(PROBS[:3], LABELS[:3], CLASSES)
    assert not [name for name in scores if "auc" in name]
    assert all(math.isfinite(value) for value in scores.values())


def test_confusion_has_true_classes_as_rows():
    assert confusion(PROBS, LABELS, 3).tolist() == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 1]), r"2 ≥ 1 labels"),
        (np.array([0, 0, 0, 1, 1, 3]), r"from 0 to 3; expected integers from 0 to 2"),
        (LABELS.astype(float), r"float64"),
    ],
)
def test_refuses_labels_that_do_not_fit(labels, message):
    with pytest.raises(ValueError, match=message):
        classification_scores(PROBS, labels, CLASSES)


def test_metric_names_are_accepted_by_mlflow_and_all_different():
    classes = ["plain_class", "a&b", "a|b", "a_b", "nested/class", "x@y", "..", "短絡", "v1.2 (new)", "<script>"]
    names = metric_names(classes)
    assert len(set(names)) == len(classes)
    assert names[:4] == ["plain_class", "a_b", "a_b_2", "a_b_3"]
    for name in names:
        # MLflow's own rule, without the seconds that importing it takes: these characters, and a path in normal form.
        assert re.fullmatch(r"[\w.\- ]+", name), name
        assert posixpath.normpath(f"f1/{name}") == f"f1/{name}"


def test_weights_count_like_repeated_images():
    generator = np.random.default_rng(0)
    probs = generator.dirichlet(np.ones(4), 30).round(1)  # with ties
    probs = (probs + 0.01) / (probs + 0.01).sum(axis=1, keepdims=True)
    labels, classes = generator.integers(0, 4, 30), list("abcd")
    weights = generator.integers(0, 3, (5, 30))
    together = resampled_scores(probs, labels, classes, weights.astype(float))
    for row, drawn in enumerate(weights):
        repeated = np.repeat(np.arange(30), drawn)
        alone = classification_scores(probs[repeated], labels[repeated], classes)
        assert {name: values[row] for name, values in together.items()} == pytest.approx(alone)


def test_scores_agree_with_scikit_learn():
    generator = np.random.default_rng(1)
    probs = generator.dirichlet(np.ones(3), 50)
    labels = generator.integers(0, 3, 50)
    drawn = generator.integers(0, 4, 50).astype(float)
    scores = {name: values[0] for name, values in resampled_scores(probs, labels, list("abc"), drawn[None]).items()}
    said, weighted = probs.argmax(axis=1), {"sample_weight": drawn}
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said, **weighted))
    assert scores["macro_f1"] == pytest.approx(metrics.f1_score(labels, said, average="macro", **weighted))
    assert scores["macro_recall"] == pytest.approx(metrics.balanced_accuracy_score(labels, said, **weighted))
    assert scores["loss"] == pytest.approx(metrics.log_loss(labels, probs, **weighted))
    for index, name in enumerate("abc"):
        assert scores[f"auc/{name}"] == pytest.approx(
            metrics.roc_auc_score(labels == index, probs[:, index], **weighted)
        )
        assert scores[f"precision/{name}"] == pytest.approx(
            metrics.precision_score(labels == index, said == index, **weighted)
        )


def test_a_resample_without_an_image_of_a_class_cannot_tell_its_scores():
    weights = np.ones((2, 6))
    weights[1, 5] = 0  # the only flame
    scores = resampled_scores(PROBS, LABELS, CLASSES, weights)
    for name in ("f1/flame", "recall/flame", "precision/flame", "auc/flame"):
        assert np.isfinite(scores[name]).tolist() == [True, False]
    assert scores["macro_recall"].tolist() == pytest.approx([(2 / 3 + 1) / 3, (2 / 3 + 1) / 2])


def segmentation(predicted, true):
    overlap = overlaps(predicted, true)
    return {name: values[0] for name, values in segmentation_scores(overlap, np.ones((1, len(overlap)))).items()}


def test_segmentation_scores_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    predicted, true = generator.random((2, 5, 12, 9)) > 0.7
    predicted[0] = true[0] = False  # an image that is empty on both sides
    predicted[1] = False
    scores = segmentation(predicted, true)
    assert scores["dice"] == pytest.approx(f1_score(true.ravel(), predicted.ravel()))
    assert scores["iou"] == pytest.approx(jaccard_score(true.ravel(), predicted.ravel()))
    by_image = [f1_score(t.ravel(), p.ravel(), zero_division=1.0) for t, p in zip(true, predicted, strict=True)]
    assert scores["image_dice"] == pytest.approx(np.mean(by_image))


def test_segmentation_scores_by_hand_on_label_maps():
    true = np.array([[[0, 1, 1, 0]], [[0, 0, 0, 0]]], dtype=np.uint8)
    predicted = np.array([[[0, 3, 0, 0]], [[0, 0, 0, 0]]], dtype=np.uint8)
    scores = segmentation(predicted, true)
    assert scores == pytest.approx({"dice": 2 / 3, "iou": 1 / 2, "image_dice": (2 / 3 + 1) / 2})


def test_segmentation_of_nothing_at_all_scores_one():
    nothing = np.zeros((2, 4, 4), dtype=bool)
    assert segmentation(nothing, nothing) == {"dice": 1.0, "iou": 1.0, "image_dice": 1.0}


def test_segmentation_of_no_image_has_no_score():
    assert np.isnan(list(segmentation(np.zeros((0, 4, 4)), np.zeros((0, 4, 4))).values())).all()


def test_segmentation_refuses_masks_of_another_shape():
    with pytest.raises(ValueError, match=r"\(1, 4, 4\) and \(1, 4, 5\)"):
        overlaps(np.zeros((1, 4, 4)), np.zeros((1, 4, 5)))
