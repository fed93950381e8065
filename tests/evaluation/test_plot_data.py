"""The CSV files for `dvc plots` hold what the figures show."""

import csv

import numpy as np
from sklearn.metrics import auc, roc_auc_score

from defectdistill.evaluation.plot_data import write_plot_data

CLASSES = ["a", "b, with comma", "never"]
LABELS = np.array([0, 0, 1, 1])
PROBS = {
    "student": np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.1, 0.9, 0.0], [0.0, 1.0, 0.0]]),
    "baseline": np.full((4, 3), 1 / 3),
}


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(folder, unlabelled):
    hidden = {model: probs[:unlabelled] for model, probs in PROBS.items()}
    names = [f"u{index}" for index in range(unlabelled)]
    return write_plot_data(folder, PROBS, LABELS, ["w", "x", "y", "z"], hidden, names, CLASSES)


def test_predictions(tmp_path):
    write(tmp_path, 2)
    rows = read(tmp_path / "predictions.csv")
    assert len(rows) == 8
    assert rows[1] == {
        "model": "student", "name": "x", "true": "a", "predicted": "b, with comma",
        "confidence": "0.600000", "entropy": "0.897946",
    }  # fmt: skip
    assert rows[3]["entropy"] == "0.000000"
    rows = read(tmp_path / "unlabelled_predictions.csv")
    assert [(row["model"], row["name"]) for row in rows] == [
        ("student", "u0"), ("student", "u1"), ("baseline", "u0"), ("baseline", "u1"),
    ]  # fmt: skip
    assert "true" not in rows[0]


def test_no_unlabelled_image_leaves_the_header(tmp_path):
    write(tmp_path, 0)
    assert (tmp_path / "unlabelled_predictions.csv").read_text() == "model,name,predicted,confidence,entropy\n"


def test_confusion_has_one_row_per_image(tmp_path):
    write(tmp_path, 0)
    rows = read(tmp_path / "confusion_student.csv")
    assert [(row["actual"], row["predicted"]) for row in rows] == [
        ("a", "a"), ("a", CLASSES[1]), (CLASSES[1], CLASSES[1]), (CLASSES[1], CLASSES[1]),
    ]  # fmt: skip


def test_roc_encloses_the_auc_and_leaves_out_a_class_without_images(tmp_path):
    write(tmp_path, 0)
    rows = [row for row in read(tmp_path / "roc.csv") if row["model"] == "student"]
    assert {row["class"] for row in rows} == set(CLASSES[:2])
    curve = [(float(row["fpr"]), float(row["tpr"])) for row in rows if row["class"] == "a"]
    assert auc(*zip(*curve, strict=True)) == roc_auc_score(LABELS == 0, PROBS["student"][:, 0])
    micro = [(float(row["fpr"]), float(row["tpr"])) for row in read(tmp_path / "roc_student.csv")]
    expected = roc_auc_score(np.eye(3)[LABELS].ravel(), PROBS["student"].ravel())
    np.testing.assert_allclose(auc(*zip(*micro, strict=True)), expected, atol=1e-6)


def test_lines_end_with_a_line_feed_alone(tmp_path):
    assert all(b"\r" not in path.read_bytes() for path in write(tmp_path, 2))
