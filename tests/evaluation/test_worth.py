"""What distilling is worth: measures of one training, pairs over splits and seeds, and the table of both."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from defectdistill.data.packed import labels_of
from defectdistill.data.tables import write_table
from defectdistill.evaluation.calibration import fit_temperature, scaled
from defectdistill.evaluation.class_activation import activation_maps, pointing
from defectdistill.evaluation.scores import classification_scores
from defectdistill.evaluation.worth import (
    Place,
    ask_students,
    means,
    measured_student,
    measured_teacher,
    paired,
    test_share,
)
from defectdistill.evaluation.worth_table import remark, write_worth
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.students import build_student
from defectdistill.models.unet3plus import build_unet3plus
from defectdistill.predict import Predictor

test_share.__test__ = False  # a function of the library, whatever pytest thinks of its name
SUMMARY = {
    "counts": {"train": {"a": 30, "b": 30}, "val": {"a": 5, "b": 5}, "test": {"a": 40, "b": 40}},
    "unlabelled": 140,
    "label_set_aside": 100,
    "synthetic": True,
}
SUMMARIES = [SUMMARY, SUMMARY | {"unlabelled": 142, "label_set_aside": 102}]  # groups seldom divide evenly
WORDS = {"plain": "No teacher", "distilled": "Distilled", "teacher": "The teacher"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A split's folder with 12 images to test, of which the last two have no mask, and 12 to validate."""
    folder, rng = tmp_path_factory.mktemp("prepared"), np.random.default_rng(0)
    for side in ("val", "test"):
        (folder / side).mkdir()
        np.save(folder / side / "images.npy", rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8))
        masks = np.zeros((12, 32, 32), np.uint8)
        masks[:, 4:20, 8:24] = 1
        np.save(folder / side / "masks.npy", masks)
        rows = [(f"{n}.png", n % 2, n, "none" if n > 9 else "given") for n in range(12)]
        write_table(folder / side / "index.csv", ("name", "label", "group", "mask_source"), rows)
    return folder


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    return Predictor(build_student("small_cnn_3", 2), ["a", "b"], 32, "squash")


def test_a_student_is_measured_with_the_temperature_of_the_validation_split(prepared, predictor):
    labels = np.arange(12) % 2
    probs, val = (predictor(np.load(prepared / side / "images.npy")).probabilities for side in ("test", "val"))
    calibrated = scaled(probs, fit_temperature(val, labels).value)
    found = measured_student(predictor, prepared)
    assert found["macro_f1"] == pytest.approx(classification_scores(probs, labels, ["a", "b"])["macro_f1"])
    assert found["loss"] == pytest.approx(-np.log(calibrated[np.arange(12), labels]).mean())
    masks, images = np.load(prepared / "test/masks.npy")[:10], np.load(prepared / "test/images.npy")[:10]
    maps = activation_maps(predictor, images, labels[:10])
    assert found["energy_inside"] == pytest.approx(pointing(maps, masks)["energy_inside"].mean())
    assert 0 <= found["calibration_error"] <= 1
    val_labels = labels_of(prepared / "val")
    assert found["uncalibrated"] == float((val.argmax(axis=1) == val_labels).all())


def test_a_teacher_is_measured_by_its_own_answers_if_it_has_any(prepared, predictor):
    images, labels = np.load(prepared / "test/images.npy"), np.arange(12) % 2
    of_classes = Segmenter(build_unet3plus("plain", 2, 2), ["a", "b"])
    expected = classification_scores(of_classes.class_probs(images), labels, ["a", "b"])["macro_f1"]
    assert measured_teacher(of_classes, prepared) == {"macro_f1": pytest.approx(expected)}
    assert measured_teacher(Segmenter(build_unet3plus("plain", 2, 1), ["defect"]), prepared) == {}
    assert measured_teacher(predictor, prepared)["macro_f1"] == measured_student(predictor, prepared)["macro_f1"]


def test_a_student_of_a_split_that_is_gone_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"rows/plain-3-0 learned from split 3, .* splits here are 0, 1: remove it, or"
    ):
        ask_students("plain", [Path("rows/plain-3-0")], {0: tmp_path, 1: tmp_path})


def trained(splits=3, seeds=2):
    rng, found = np.random.default_rng(0), {}
    for split in range(splits):
        for seed in range(seeds):
            plain = 0.8 + 0.02 * split + 0.01 * rng.random()
            found[Place("plain", split, seed)] = {"macro_f1": plain, "loss": 0.5, "energy_inside": 0.2}
            found[Place("distilled", split, seed)] = {"macro_f1": plain + 0.1 + 0.01 * rng.random(), "loss": 0.5}
            found[Place("teacher", split, seed)] = {"macro_f1": 1.0}
    return found


def test_rows_are_paired_by_split_and_seed_and_seeds_are_averaged_first():
    places = trained()
    first, second = paired(places, [("distilled", "plain")], 0.0)
    differences = [
        np.mean([places[Place("distilled", split, seed)]["macro_f1"] - places[Place("plain", split, seed)]["macro_f1"]
                 for seed in range(2)])
        for split in range(3)
    ]  # fmt: skip
    expected = stats.ttest_1samp(differences, 0)
    assert first.measure == "macro_f1"
    assert first.found.difference == pytest.approx(np.mean(differences))
    assert first.found.p_value == pytest.approx(expected.pvalue)
    assert (first.found.units, first.found.trainings) == (3, 6)
    errors = [1 - means(places, row)["macro_f1"] for row in ("distilled", "plain")]
    assert first.error_ratio == pytest.approx(errors[0] / errors[1])
    assert (second.measure, second.found.difference, second.error_ratio) == ("loss", 0, None)  # energy: of one alone
    (perfect,) = paired(places, [("plain", "teacher")], 0.0)
    assert perfect.error_ratio is None


def test_of_two_models_that_are_calibrated_alike_the_more_certain_one_does_not_seem_better():
    """Few images make a calibration error too large, and the less certain model's more: there is no interval of it."""
    errors = {"plain": 0.07, "distilled": 0.02}
    places = {
        Place(row, split, 0): {"macro_f1": 0.9 + split / 100, "calibration_error": error + split / 1000}
        for row, error in errors.items()
        for split in range(3)
    }
    *_, found = paired(places, [("distilled", "plain")], 0.5)
    assert (found.measure, found.found.difference) == ("calibration_error", pytest.approx(-0.05))
    assert np.isnan([found.found.low, found.found.high, found.found.p_value]).all()


def test_photographs_whose_label_was_set_aside_are_learned_from_and_tested_in_other_splits():
    assert test_share([SUMMARY]) == 80 / 160
    assert test_share(SUMMARIES) == 160 / 322


def test_one_split_with_one_seed_has_no_interval(tmp_path):
    places = trained(splits=1, seeds=1)
    write_worth(tmp_path, places, paired(places, [("distilled", "plain")], 0.5), WORDS, [SUMMARY], [[60]])
    difference = places[Place("distilled", 0, 0)]["macro_f1"] - places[Place("plain", 0, 0)]["macro_f1"]
    assert f"| Macro-F1 | +{difference:.3f} |  | " in (tmp_path / "table.md").read_text()


def test_over_one_split_nothing_is_bold_and_no_p_is_told(tmp_path):
    places = {
        place: values | {"macro_f1": 0.5 + 0.4 * (place.row == "distilled") + place.seed / 100}
        for place, values in trained(splits=1, seeds=3).items()
    }
    places[Place("distilled", 0, 2)]["macro_f1"] += 0.01
    write_worth(tmp_path, places, paired(places, [("distilled", "plain")], 0.5), WORDS, [SUMMARY], [[60]])
    line = next(line for line in (tmp_path / "table.md").read_text().splitlines() if "| Macro-F1 | +0.4" in line)
    assert "**" not in line
    assert "to +0.4" in line, "the interval over the seeds is told"
    assert line.split(" | ")[4].strip() == ""


def test_the_note_says_how_many_have_no_temperature():
    places = {place: values | {"uncalibrated": float(place.seed == 0)} for place, values in trained().items()}
    assert "9 of 18 students were right about all validation photographs" in remark(SUMMARIES, [[60]], places)
    assert "no temperature" not in remark(SUMMARIES, [[60]], trained())


def test_the_table_holds_every_training_and_bold_is_outside_the_noise(tmp_path):
    places = trained()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_worth(
            tmp_path / name,
            places,
            paired(places, [("distilled", "plain")], 0.5),
            WORDS,
            SUMMARIES,
            [[60, 60], [20, 19]],
        )
    with open(tmp_path / "one/trainings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    macro_f1 = f"{places[Place('plain', 0, 0)]['macro_f1']:.6f}"
    assert list(rows[0].values()) == ["plain", "0", "0", macro_f1, "0.500000", "", "0.200000"]
    text = (tmp_path / "one/table.md").read_text()
    assert "| Distilled | No teacher | Macro-F1 | **+0.1" in text
    assert "| Distilled | No teacher | Loss, calibrated (less is better) | 0.000 |  |" in text
    learned = "60 to learn from, 60 or 19 to 20 of them with a mask, 140 to 142 without a label"
    assert f"3 splits, 2 seeds; each split: {learned}" in text
    assert "others may say otherwise" not in text
    one_split = {place: values for place, values in places.items() if place.split == 0}
    assert remark(SUMMARIES[:1], [[60]], one_split).endswith(
        "All on the same test photographs: others may say otherwise."
    )
    assert "calibration error" not in remark(SUMMARIES[:1], [[60]], one_split)
    known = {place: values | {"calibration_error": 0.1} for place, values in places.items()}
    assert "calibration error" in remark(SUMMARIES, [[60]], known)
    for file in ("table.png", "table.md", "trainings.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
