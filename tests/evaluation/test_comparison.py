"""The table of a comparison: what is measured of a row, what it says in words, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.data.tables import read_table
from defectdistill.distillation.soft_targets import soft_target_loss
from defectdistill.evaluation.ablation import Images, Scored
from defectdistill.evaluation.comparison import (
    Answers,
    Question,
    Table,
    ask,
    ask_row,
    joined,
    read_comparison,
    soft_loss,
    verdict,
    with_speed,
    worst_pair,
)
from defectdistill.evaluation.comparison_table import write_comparison
from defectdistill.models.students import build_student, classifier_config

CLASSES = ["cat", "dog", "ship"]
LABELS = np.tile([0, 1, 2], 20)
IMAGES = Images(LABELS, [str(n) for n in range(60)], [], CLASSES)
COLUMNS = {
    "train_accuracy": "Training",
    "accuracy": "Test",
    "g_mean": "G-mean",
    "recall/dog": "Dogs",
    "hint_loss": "Hint",
}
QUESTION = Question(words="Does it matter?", row="better", against="none", margin=0.008)
TABLE = Table(title="T", reference="none", drawn="accuracy", columns=COLUMNS, confusion=["none"], question=QUESTION)
SUMMARY = {"synthetic": True, "counts": {"train": {"cat": 4, "dog": 5, "ship": 6}}}


def said(share, seed, seeds=2):
    """Answers (seeds, 60, 3) of which a share is right; what is wrong takes a cat for a dog or the other way."""
    rng = np.random.default_rng(seed)
    probs = []
    for _ in range(seeds):
        wrong = (rng.random(60) > share) & (LABELS < 2)
        probs.append(np.eye(3)[np.where(wrong, 1 - LABELS, LABELS)] * 0.8 + 0.2 / 3)
    return Answers(np.stack(probs), {"train_accuracy": 0.9, "parameters": 0.3}, Path("models"))


@pytest.fixture
def trainings(tmp_path):
    """Two trainings of a row and their teacher, as the stages leave them."""
    for number, name in enumerate(("row-0", "row-1", "teacher")):
        torch.manual_seed(number)
        folder = tmp_path / name / "models/student"
        student = build_student("small_cnn_3", 3)
        checkpoint.save(folder, student.state_dict(), classifier_config("small_cnn_3", CLASSES, 32, "pad"))
    (tmp_path / "row-1/metrics/distill").mkdir(parents=True)
    (tmp_path / "row-1/metrics/distill/hint.csv").write_text("epoch,val_hint,kept\n0,0.5,0\n1,0.25,0\n2,0.3,1\n")
    return tmp_path


def pictures(count):
    return np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_a_training_is_asked_of_both_splits_and_the_losses_of_distilling(trainings):
    images = {"test": pictures(6), "train": pictures(4), "labels": np.array([0, 1, 2, 0])}
    teacher = ask(trainings / "teacher/models/student", **images)
    first, second = (ask_row(trainings / f"row-{seed}", teacher, 3.0, images) for seed in (0, 1))
    assert first.probs.shape == (1, 6, 3)
    own = sum(value.numel() for value in build_student("small_cnn_3", 3).parameters())
    assert first.beside["parameters"] == own / 1e6
    assert first.beside["train_accuracy"] in (0, 0.25, 0.5, 0.75, 1)
    assert "hint_loss" not in first.beside
    assert second.beside["hint_loss"] == 0.3  # of the epoch that was kept
    assert second.beside["soft_loss"] > 0
    both = joined([second, second])
    assert both.probs.shape == (2, 6, 3)
    assert both.beside == pytest.approx(second.beside)


def test_speed_is_measured_of_all_in_one_go(trainings):
    images = {"test": pictures(3), "train": pictures(3), "labels": np.array([0, 1, 2])}
    rows = {name: ask(trainings / name / "models/student", **images) for name in ("row-0", "teacher")}
    assert all(row.beside["images_per_second"] > 1 for row in with_speed(rows, 32).values())


def test_the_soft_loss_of_answers_is_that_of_logits():
    student, teacher = np.random.default_rng(0).normal(0, 3, (2, 5, 4))
    answers = [np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (student, teacher)]
    expected = soft_target_loss(torch.from_numpy(student), torch.from_numpy(teacher), 4.0).item()
    assert soft_loss(*answers, 4.0) == pytest.approx(expected, rel=1e-5)
    certain = np.array([[1.0, 0.0]])
    assert np.isfinite(soft_loss(certain, 1 - certain, 4.0))


def test_the_worst_pair_counts_both_directions():
    probs = np.eye(3)[[1, 0, 2, 2, 2, 2]][None]  # cat→dog, dog→cat, then ships, one of them a dog
    labels = np.array([0, 1, 2, 2, 1, 2])
    first, second, share = worst_pair(probs, labels, CLASSES)
    assert (first, second) == ("cat", "dog")
    assert share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("value", "ends", "words"),
    [
        (0.001, [-0.005, 0.007], "No: better − none, Test: +0.001 (−0.01 to 0.01), within 0.8 points."),
        (-0.03, [-0.05, -0.01], "Yes: better − none, Test: −0.030 (−0.05 to −0.01), more than 0.8 points."),
        (0.0, [-0.02, 0.02], "It cannot be told: better − none, Test: 0.000 (−0.02 to 0.02); 0.8 points lie inside."),
        (0.02, [0.001, 0.05], "It cannot be told"),
        (0.02, None, "It cannot be told: better − none, Test: +0.020, without an interval."),
    ],
)
def test_a_question_is_answered_by_the_margin_and_the_interval(value, ends, words):
    assert words in verdict(QUESTION, Scored({}, (value, ends)), "Test", seeds=2)


def test_one_seed_answers_no_question():
    answer = verdict(QUESTION, Scored({}, (-0.03, [-0.05, -0.01])), "Test", seeds=1)
    assert "It cannot be told from one seed: better − none, Test: −0.030 (−0.05 to −0.01)." in answer


def test_the_table_holds_ours_the_papers_and_the_answers(tmp_path):
    rows = {"teacher": said(0.9, 0, seeds=1), "none": said(0.6, 1, seeds=4), "better": said(0.95, 2, seeds=4)}
    paper = [{"row": name, "words": name.title(), "accuracy": "0.87" * (name == "none")} for name in rows]
    write_comparison(tmp_path, TABLE, paper, rows, IMAGES, SUMMARY, 300, 0)
    table = {row["row"]: row for row in read_table(tmp_path / "table.csv")}
    for name, row in rows.items():
        right = (row.probs.argmax(2) == LABELS).mean()
        assert float(table[name]["accuracy"]) == pytest.approx(right, abs=1e-6)
        assert float(table[name]["accuracy_low"]) < right < float(table[name]["accuracy_high"]) or right == 1
    assert (table["none"]["accuracy_paper"], table["better"]["accuracy_paper"]) == ("0.87", "")
    assert table["better"]["train_accuracy"] == "0.900000"
    assert "hint_loss" not in table["none"]  # no row had one
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| | Test images | Training | Test | Test, paper | G-mean | Dogs | Test against None |" in text
    assert "15 images to learn from, 60 to test, drawn by a program; seeds a row: 4. Intervals: 95 %, over test" in text
    assert "Most often taken for each other (None): cat and dog" in text
    assert [table[name]["stands_out"] for name in rows] == ["", "", "yes"]  # the teacher was trained once
    assert "Does it matter? Yes: better − none" in text
    assert (tmp_path / "confusion.png").stat().st_size > 10_000


def test_a_column_that_there_is_not_is_refused_by_name(tmp_path):
    table = TABLE.model_copy(update={"columns": {"recall/bird": "Birds", "accuracy": "Test"}})
    with pytest.raises(ValueError, match=r"columns \['recall/bird'\]: expected some of train_accuracy.*recall/cat"):
        write_comparison(tmp_path, table, [], {"none": said(0.5, 0)}, IMAGES, SUMMARY, 100, 0)


def test_a_file_without_a_table_is_refused(tmp_path):
    (tmp_path / "rows.yaml").write_text("rows: {}\n")
    with pytest.raises(ValueError, match="has no `table`"):
        read_comparison(tmp_path / "rows.yaml", [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drawn": "train_accuracy"}, "drawn = 'train_accuracy': expected one of the columns accuracy"),
        ({"drawn": "g_mean"}, "drawn = 'g_mean'"),
        ({"colums": {}}, "colums"),
        ({"reference": "teacher"}, "reference: teacher is trained once"),
        ({"reference": "plain"}, r"names the rows \['plain'\]: expected some of teacher, none"),
        ({"confusion": ["none", "plain"]}, r"names the rows \['plain'\]"),
        ({"question": {"words": "?", "row": "none", "against": "other", "margin": 0.1}}, r"names the rows \['other'\]"),
    ],
)
def test_a_mistake_in_the_table_is_one_line_that_names_it(tmp_path, change, message):
    table = {"title": "T", "reference": "none", "drawn": "accuracy", "confusion": ["none"], "question": None}
    table["columns"] = {"accuracy": "Test", "train_accuracy": "Training"}
    (tmp_path / "rows.yaml").write_text(json.dumps({"table": table}))
    assert read_comparison(tmp_path / "rows.yaml", ["teacher", "none"]).drawn == "accuracy"
    (tmp_path / "rows.yaml").write_text(json.dumps({"table": table | change}))
    with pytest.raises(ValueError, match=message) as raised:
        read_comparison(tmp_path / "rows.yaml", ["teacher", "none"])
    assert type(raised.value) is ValueError  # a stage then ends in a line
