"""The evaluation of students that segment, from checkpoints to the report, on tiny networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.data.tables import read_json, write_table
from defectdistill.evaluation.mask_figures import chosen
from defectdistill.evaluation.mask_report import verdict
from defectdistill.evaluation.tasks.segmentation import WRITTEN, ask, evaluate
from defectdistill.models.resunet import ResUNet, resunet_config
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config

BUILT = {"encoder": "tu-test_convnext", "global_context": False, "feature_fusion": False}
CLASSES = ["dent", "<rust>"]
DATA = {
    "source": "strips", "synthetic": True, "classes": CLASSES, "size": 32, "resize": "squash", "divided": "grouped",
    "protocol": "stratified 60/20/20 by group, seed 0", "groups": 6, "rejected": 0, "unlabelled": 0,
    "counts": {split: {"dent": 3, "<rust>": 3} for split in ("train", "val", "test")},
    "masks": {"coding": "labels", "given": 18, "normal": 0, "threshold": 0, "none": 0, "empty_on_defect": 0},
    "near_duplicates": {"searched": True, "sets": 0, "photographs": 0, "even": 0, "two_labels": 0, "doubtful": []},
}  # fmt: skip
LEAKS = {"unlabelled": False, "learned_from": 12, "test": 6, "even": 0, "pairs": [], "shared_groups": 0}
HISTORY = ("epoch", "learning_rate", "train_loss", "val_loss", "val_mean_dice", "val_mean_iou", "val_soft_dice")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmentation")
    rng = np.random.default_rng(0)
    test, masks = folder / "prepared/test", np.zeros((6, 32, 32), np.uint8)
    test.mkdir(parents=True)
    masks[::2, 4:20, 4:20], masks[1::2, 10:24, 8:30] = 1, 2
    masks[5] = 0
    np.save(test / "images.npy", rng.integers(0, 255, (6, 32, 32, 3), dtype=np.uint8))
    np.save(test / "masks.npy", masks)
    rows = [(f"{row}.png", row % 2, f"{row}", "none" if row == 5 else "given") for row in range(6)]
    write_table(test / "index.csv", ("name", "label", "group", "mask_source"), rows)
    for number, model in enumerate(("student", "baseline", "teacher")):
        torch.manual_seed(number)
        config = resunet_config(BUILT, CLASSES, 32, "squash")
        checkpoint.save(folder / model, ResUNet(classes=2, **BUILT).state_dict(), config)
        write_table(folder / f"{model}.csv", HISTORY, [(epoch, *[0.1 + epoch / 10] * 6) for epoch in range(3)])
    return folder


def run(folder, output, **changes):
    models = {model: folder / model for model in ("student", "baseline", "teacher")}
    given = {
        "prepared": folder / "prepared", "models": models, "data": DATA, "leaks": LEAKS, "contact_sheets": [],
        "histories": {model: folder / f"{model}.csv" for model in models}, "params": {"student.task": "segmentation"},
        "reproduce": ["dvc repro"], "settings": {"batch_size": 4, "resamples": 100, "seed": 0},
    }  # fmt: skip
    return evaluate(output, **given | changes)


@pytest.fixture(scope="module")
def written(folder):
    return run(folder, folder / "out"), folder / "out"


def test_everything_is_written_and_the_report_is_complete(written):
    results, out = written
    assert json.loads((out / "evaluate.json").read_text()) == json.loads(json.dumps(results))
    assert {path.name for path in (out / "figures").iterdir()} == {
        "dice.png", "training.png", "loss_terms.png", "teacher.png", "masks.png"
    }  # fmt: skip
    page = (out / "report.html").read_text()
    for words in ("SYNTHETIC DATA", "Mean Dice of the classes", "Dice per class", "5 test images", "&lt;rust&gt;"):
        assert words in page, words
    assert "<rust>" not in page
    assert page.count("data:image/png;base64,") == len(list((out / "figures").iterdir()))
    assert {path.name for path in out.iterdir()} == set(WRITTEN)
    assert results["student"]["parameters"] == results["teacher"]["parameters"] > 300_000
    assert results["data"]["test_images"] == 5  # the sixth has no mask


def test_same_inputs_same_bytes(written, folder, tmp_path):
    run(folder, tmp_path / "again")
    for path in written[1].rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(written[1])).read_bytes(), path.name


def test_a_teacher_that_tells_no_such_classes_apart_is_left_out(folder, tmp_path):
    models = {model: folder / model for model in ("student", "baseline")}
    config = unet3plus_config("plain", 2, ["defect"], 32, "squash")
    checkpoint.save(tmp_path / "binary", UNet3Plus(width=2).state_dict(), config)
    said = ask(folder / "prepared/test", models | {"teacher": tmp_path / "binary"}, CLASSES, 4)
    assert set(said.found) == {"student", "baseline"}
    config = classifier_config("small_cnn_3", CLASSES, 32, "squash")
    checkpoint.save(tmp_path / "labels", build_student("small_cnn_3", 2).state_dict(), config)
    results = run(folder, tmp_path / "out", models=models | {"teacher": tmp_path / "labels"})
    assert "mean_dice" not in results["teacher"]
    assert "<th>Teacher</th>" not in (tmp_path / "out/report.html").read_text()
    assert read_json(tmp_path / "out/evaluate.json")["teacher"] == {"intervals": {}}


@pytest.mark.parametrize(
    ("source", "message"), [("none", "no image has a mask"), ("given", "6 images have a mask and none shows a defect")]
)
def test_without_any_marked_defect_there_is_nothing_to_measure(folder, tmp_path, source, message):
    (tmp_path / "images.npy").write_bytes((folder / "prepared/test/images.npy").read_bytes())
    np.save(tmp_path / "masks.npy", np.zeros((6, 32, 32), np.uint8))
    rows = [(f"{row}.png", "g", source) for row in range(6)]
    write_table(tmp_path / "index.csv", ("name", "group", "mask_source"), rows)
    with pytest.raises(ValueError, match=message):
        ask(tmp_path, {"student": Path()}, CLASSES, 4)


def test_shown_are_images_of_every_class_in_turn():
    true = np.zeros((5, 4, 4), np.uint8)
    true[0, :1], true[1, :3], true[2, :2], true[3] = 1, 1, 2, 2
    assert chosen(true, 2, count=4).tolist() == [1, 3, 0, 2]
    assert len(chosen(true, 2)) == 5


@pytest.mark.parametrize(
    ("student", "ends", "words"),
    [
        (
            0.7,
            [0.05, 0.15],
            "0.700 against 0.600 for the baseline without a teacher, 10.0 points more, on 1 test image. ",
        ),
        (0.5, [-0.2, 0.1], "10.0 points less, on 1 test image. The difference may be chance"),
        (0.6, None, "no difference, on 1 test image. 3 group"),
    ],
)
def test_the_verdict_names_both_scores_and_whether_it_may_be_chance(student, ends, words):
    scores = {"student": student, "baseline": 0.6}
    results = {name: {"test": {"mean_dice": value, "images": 1}} for name, value in scores.items()}
    results["difference"] = {"intervals": {} if ends is None else {"mean_dice": ends}}
    assert words in verdict(results, 3)
