"""The model card says what was measured, and no more."""

import copy
import itertools

import pytest

from defectdistill.export.model_card import model_card

TOP = {"accuracy": 0.8, "macro_f1": 0.75, "macro_recall": 0.7, "macro_auc": 0.9, "loss": 0.6}
CLASSES = ["a|b `x`", "good"]
PER_CLASS = {f"{kind}/{name}": 0.5 for kind in ("f1", "recall", "precision") for name in ("a_b _x_", "good")}
SIDE = {
    "test": {**TOP, **PER_CLASS, "images": 20},
    "intervals": {"test": {"macro_f1": [0.51, 0.93]}},
    "selective": {
        "below_threshold": 0.25,
        "accuracy_above": 0.9,
        "target_accuracy": 0.95,
        "validation_images": 18,
        "validation_above": 6,
        "validation_right": 6,
    },
}
AGREED = {"images": 20, "largest_difference": 1e-6, "class_agreement": 1.0}
FORM = {
    "bytes": 44_853_509,
    "sha256": "ab" * 32,
    "test": {"onnxruntime": AGREED, "openvino": AGREED},
    "photographs": {"onnxruntime": AGREED},
    "scores": {split: {"accuracy": 0.8, "macro_f1": 0.75, "loss": 0.5} for split in ("val", "test")},
}
INT8 = {**FORM, "kept": True, "val_f1_drop": 0.01, "max_f1_drop": 0.02, "calibration_images": 70}
GIVEN = {
    "arch": "resnet18",
    "notes": {
        "classes": CLASSES,
        "preprocessing": {"size": 128, "resize": "squash", "normalise": "imagenet"},
        "temperature": 1.25,
        "threshold": 0.612,
        "target_accuracy": 0.95,
        "weights_sha256": "cd" * 32,
    },
    "results": {"student": SIDE, "baseline": SIDE, "data": {"test_images_with_a_copy": 0}},
    "data": {
        "source": "folder",
        "synthetic": False,
        "divided": "grouped",
        "protocol": "stratified 70/15/15 by group, seed 0",
        "counts": {split: dict.fromkeys(CLASSES, 10) for split in ("train", "val", "test")},
        "near_duplicates": {"searched": True},
        "unlabelled": 5,
        "sha256": "ef" * 32,
    },
    "parity": {"fp32": FORM, "int8": INT8},
    "how": "fitted",
    "licence": None,
}


def card(**changes):
    """Return the card after changes to what it is made of, named by a path with dots."""
    given = copy.deepcopy(GIVEN)
    for path, value in changes.items():
        *parts, last = path.split("__")
        place = given
        for part in parts:
            place = place[part]
        place[last] = value
    return model_card(**given)


def test_it_names_scores_with_intervals_hashes_and_what_is_inside():
    text = card()
    for fact in (
        "| Macro-F1 | 0.750 (0.51 to 0.93) | 0.750 (0.51 to 0.93) |",
        "| `student.onnx` | 44,853,509 |",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "resize to 128 × 128 pixels",
        "a temperature of 1.250",
        "One photograph is worth 5.0 points",
        "stratified 70/15/15 by group, seed 0",
        "75\u00a0% of the photographs are above it, and 90\u00a0% of those answers are right",
        "below **0.612**: on the validation split 6 of 18 photographs were above it, and 6 of these answers right. "
        "This promises little: with 61 of 100",
    ):
        assert fact in text, fact
    assert "synthetic" not in text.lower()


def test_every_row_of_a_table_has_its_columns_whatever_a_class_is_called():
    lines = card().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    for line in rows:
        assert line.endswith("|"), line
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.replace("\\|", "").count("|") == line.replace("\\|", "").count("|"), line
    assert "a\\|b \\`x\\`" in card()


def test_synthetic_data_stand_at_the_top_and_need_no_licence():
    text = card(data__synthetic=True)
    assert text.index("Learned from synthetic data") < text.index("## Files")
    assert "nobody else's work is in them" in text


@pytest.mark.parametrize(
    ("licence", "words"), [(None, "**not stated**"), ("CC BY 4.0", "Licence of the photographs: CC BY 4.0.")]
)
def test_a_licence_is_what_the_user_says_it_is(licence, words):
    assert words in card(licence=licence)


def test_a_protocol_that_flatters_is_named():
    assert "Divided at random" in card(data__divided="random")
    assert "are on one side" not in card(data__divided="random")
    assert "seed 0. Near copies and photographs of one object are on one side." in card()


def test_near_copies_that_were_not_looked_for_are_not_said_to_be_on_one_side():
    text = card(data__near_duplicates__searched=False)
    assert "seed 0. Photographs of one object are on one side. Near copies were not looked for." in text
    assert "Near copies and" not in text


def test_int8_that_was_not_kept_is_no_file_and_says_why():
    text = card(parity__int8__kept=False, parity__int8__val_f1_drop=0.2)
    assert "| `student_int8.onnx` | 44" not in text
    assert "falls by 0.200; the most that was allowed is 0.020, so it was not kept" in text
    assert "No INT8 form" in card(parity__int8=None)


def test_without_a_threshold_a_person_decides_always():
    assert "Always: on the validation split no threshold" in card(notes__threshold=None)


def test_a_test_split_of_one_object_has_scores_without_intervals():
    assert "| Macro-F1 | 0.750 | 0.750 |" in card(results__student__intervals={}, results__baseline__intervals={})


@pytest.mark.parametrize(
    ("how", "said"), [("off", "`evaluate.calibrate` is false"), ("separated", "it was right about")]
)
def test_without_a_temperature_it_does_not_claim_to_be_calibrated(how, said):
    text = card(notes__temperature=1.0, how=how)
    assert f"Not calibrated: {said}" in text
    assert "Calibrated" not in text
