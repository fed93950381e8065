import csv
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.given_masks import marks_message
from defectdistill.data.ingest import write_raw
from defectdistill.data.normal import normal_message
from defectdistill.data.packed import read_index
from defectdistill.data.prepare import prepare
from defectdistill.data.preprocess import aspect, shape_message
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.tables import read_json, read_table
from defectdistill.places import PHOTOGRAPHS

CLASSES = ("dent", "good", "scratch")
COLOURS = {"dent": (255, 0, 0), "good": (0, 0, 0), "scratch": (0, 0, 255)}
SETTINGS = {
    "size": 16, "resize": "squash", "masks": "given", "mask_coding": "auto", "mask_table": None,
    "normal_classes": None, "fractions": (0.7, 0.15, 0.15), "seed": 0,
    "near_duplicates": False,  # these photographs differ in brightness alone: copies, by that rule
}  # fmt: skip


def photographs(draw, per_class=10, with_mask=lambda label, number: True):
    """Return samples of 24×32 px, each of one even grey of its own; `draw(label, area)` gives a mask's pixels."""
    rng = np.random.default_rng(0)
    for label in CLASSES:
        for number in range(per_class):
            image = np.full((24, 32, 3), rng.integers(40, 220), np.uint8)
            image[4:20, 8:16] //= 2
            area = np.zeros((24, 32), bool)
            area[4:20, 8:16] = label != "good"
            mask = cv2.imencode(".png", draw(label, area))[1].tobytes() if with_mask(label, number) else None
            yield Sample(f"{label}/{number:02d}.png", label, cv2.imencode(".png", image)[1].tobytes(), mask)
    yield Sample("unlabelled/1.png", None, cv2.imencode(".png", np.full((9, 9), 7, np.uint8))[1].tobytes())


def binary(label, area):
    return area.astype(np.uint8) * 255


def coloured(label, area):
    return (area[:, :, None] * np.array(COLOURS[label][::-1])).astype(np.uint8)


def run(folder, draw=binary, with_mask=lambda label, number: True, **settings):
    write_raw(photographs(draw, with_mask=with_mask), folder / "raw", "folder", synthetic=False, max_pixels=10**6)
    return prepare(folder / "raw", folder / "prepared", **SETTINGS | settings)


def load(folder, side):
    with (folder / "prepared" / side / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    arrays = [np.load(path) for path in sorted((folder / "prepared" / side).glob("*.npy"))]
    return index, *arrays


def test_without_masks_no_image_has_one_and_none_is_asked_for(tmp_path):
    summary = run(tmp_path, masks="none")
    assert summary["masks"] == {
        "coding": "none", "given": 0, "normal": 0, "threshold": 0, "none": 30, "empty_on_defect": 0,
        "something": 0, "in_part": 0, "hollow": [], "faint": [], "nearly_all": 0, "median_side": None,
        "normal_classes": ["good"], "unmarked_classes": [], "doubtful_classes": {},
    }  # fmt: skip
    for side in ("train", "val", "test"):
        index, _, masks = load(tmp_path, side)
        assert not masks.any()
        assert {row["mask_source"] for row in index} == {"none"}


def test_arrays_index_and_summary(tmp_path):
    summary = run(tmp_path)
    names = []
    for side, count in (("train", 7), ("val", 2), ("test", 1)):
        index, images, masks = load(tmp_path, side)
        assert images.shape == (3 * count, 16, 16, 3)
        assert images.dtype == masks.dtype == np.uint8
        assert masks.shape == (3 * count, 16, 16)
        assert [row["name"] for row in index] == sorted(row["name"] for row in index)
        for row, image, mask in zip(index, images, masks, strict=True):
            name = row["name"].split("/")[0]
            assert int(row["label"]) == CLASSES.index(name)
            assert row["mask_source"] == "given"
            # 24×32 px squashed to 16: rows 4…20 become 3…13 (a third of a pixel counts), columns 8…16 become 4…8.
            expected = np.zeros((16, 16), np.uint8)
            expected[3:13, 4:8] = 0 if name == "good" else CLASSES.index(name) + 1
            assert (mask[4:12] == expected[4:12]).all()
            assert image[8, 5, 0] == image[0, 0, 0] // 2
        names += [row["name"] for row in index]
    assert len(names) == len(set(names)) == 30
    index, images = load(tmp_path, "unlabelled")
    assert index == [{"name": "unlabelled/1.png", "group": "unlabelled/1.png", "held_out": ""}]
    assert (images == 7).all()
    assert summary == json.loads((tmp_path / "prepared/summary.json").read_text())
    assert summary == {
        "source": "folder",
        "synthetic": False,
        "classes": list(CLASSES),
        "size": 16,
        "resize": "squash",
        "divided": "grouped",
        "protocol": "stratified 70/15/15 by group, seed 0",
        "counts": {
            "train": dict.fromkeys(CLASSES, 7),
            "val": dict.fromkeys(CLASSES, 2),
            "test": dict.fromkeys(CLASSES, 1),
        },
        "marked": {"train": 14, "val": 4, "test": 2},  # of good ones the mask is empty
        "unlabelled": 1,
        "label_set_aside": 0,
        "own_test_split": 0,
        "groups": 30,
        "near_duplicates": {
            "searched": False, "photographs": 0, "sets": 0, "largest": 0, "two_labels": 0, "doubtful": [], "even": 0,
        },
        "masks": {
            "coding": "binary", "given": 30, "normal": 0, "threshold": 0, "none": 0, "empty_on_defect": 0,
            "something": 20, "in_part": 20, "hollow": [], "faint": [], "nearly_all": 0, "median_side": 6.5,
            "normal_classes": ["good"], "unmarked_classes": [], "doubtful_classes": {},
        },
        "rejected": 0,
        "masks_left_out": 0,
        "aspect": 1.33,
        "sha256": summary["sha256"],
    }  # fmt: skip


def test_the_digest_of_the_photographs_is_that_of_any_split_of_them(tmp_path):
    def digest_of(**settings):
        prepare(tmp_path / "raw", tmp_path / "other", **SETTINGS | settings)
        return read_json(tmp_path / "other" / PHOTOGRAPHS)["sha256"]

    first = run(tmp_path)
    digest = digest_of()
    assert digest_of(folds=5, fold=1, size=12) == digest
    assert read_json(tmp_path / "other/summary.json")["sha256"] != first["sha256"]
    for changed, source in (("images/00003.png", "images/00004.png"), ("masks/00003.png", "masks/00012.png")):
        content = (tmp_path / "raw" / changed).read_bytes()
        shutil.copy(tmp_path / "raw" / source, tmp_path / "raw" / changed)
        assert digest_of() != digest, changed
        (tmp_path / "raw" / changed).write_bytes(content)
    index = tmp_path / "raw/index.csv"
    index.write_text(index.read_text().replace("dent/03.png,dent", "dent/03.png,good"))
    assert digest_of() != digest


def read_by_trainings(folder):
    files = (path for side in ("train", "val", "unlabelled") for path in (folder / "prepared" / side).iterdir())
    return {path: path.read_bytes() for path in (*files, folder / "prepared/learned.json")}


def test_another_test_photograph_changes_nothing_that_a_training_reads(tmp_path):
    run(tmp_path)
    tested, before = read_index(tmp_path / "prepared/test")[0]["name"], read_by_trainings(tmp_path)
    rows = read_table(tmp_path / "raw/index.csv")
    (image,) = (row["image"] for row in rows if row["name"] == tested)
    (other,) = (row["image"] for row in rows if row["name"] == read_index(tmp_path / "prepared/train")[0]["name"])
    shutil.copy(tmp_path / "raw" / other, tmp_path / "raw" / image)
    prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS)
    assert read_by_trainings(tmp_path) == before


@pytest.mark.parametrize("near_duplicates", [False, True])
def test_one_more_test_photograph_changes_nothing_that_a_training_reads(tmp_path, near_duplicates):
    def prepared(tested):
        learned, rng = [sample for sample in photographs(binary) if sample.label], np.random.default_rng(0)
        samples = [replace(sample, split="train") for sample in learned]
        samples += [replace(sample, name=f"new/{sample.name}", split="test") for sample in learned[::5][:tested]]
        for position, sample in enumerate(samples):  # no two look alike
            image = cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (32, 24))
            samples[position] = replace(sample, image=cv2.imencode(".png", image)[1].tobytes())
        write_raw(samples, tmp_path / "raw", "folder", synthetic=False, max_pixels=10**6)
        settings = SETTINGS | {"protocol": "given", "near_duplicates": near_duplicates}
        return prepare(tmp_path / "raw", tmp_path / "prepared", **settings)["counts"]["test"]

    assert prepared(5) == {"dent": 2, "good": 2, "scratch": 1}
    before = read_by_trainings(tmp_path)
    assert prepared(6) == {"dent": 2, "good": 2, "scratch": 2}
    assert read_by_trainings(tmp_path) == before


@pytest.mark.parametrize(
    ("draw", "settings", "coding"),
    [
        (lambda label, area: area.astype(np.uint8), {}, "zero_one"),
        (lambda label, area: (area * (CLASSES.index(label) + 1)).astype(np.uint8), {}, "labels"),
        (lambda label, area: (area * (90 + len(label))).astype(np.uint8),
         {"mask_table": {"dent": 94, "scratch": 97}}, "labels"),
        (lambda label, area: cv2.GaussianBlur(area.astype(np.uint8) * 255, (3, 3), 0), {}, "grey"),
        (coloured, {}, "colours"),
        (coloured, {"mask_table": {"dent": [255, 0, 0], "scratch": [0, 0, 255]}}, "colours"),
    ],
)  # fmt: skip
def test_every_coding_gives_the_same_label_maps(tmp_path, draw, settings, coding):
    assert run(tmp_path, draw, **settings)["masks"]["coding"] == coding
    index, _, masks = load(tmp_path, "train")
    run(tmp_path / "reference")
    assert np.array_equal(masks, load(tmp_path / "reference", "train")[2])
    assert {int(row["label"]) for row, mask in zip(index, masks, strict=True) if mask.any()} == {0, 2}


def test_a_forced_coding_is_obeyed(tmp_path):
    summary = run(tmp_path, coloured, mask_coding="binary")
    assert summary["masks"]["coding"] == "binary"
    _, _, masks = load(tmp_path, "train")
    assert masks.max() == 3


def test_masks_that_mark_nothing_are_listed_on_defects_only(tmp_path):
    drawn = iter(range(100))
    summary = run(tmp_path, lambda label, area: binary(label, area & (next(drawn) != 3)))
    assert summary["masks"]["empty_on_defect"] == 1
    assert (tmp_path / "prepared/empty_masks.csv").read_text() == "name,label\ndent/03.png,dent\n"


@pytest.mark.parametrize(
    ("masks", "sources"),
    [
        ("auto", {"given", "normal", "none"}),
        ("given", {"given", "normal", "none"}),
        ("threshold", {"normal", "threshold"}),
        ("given_else_threshold", {"given", "normal", "threshold"}),
    ],
)
def test_where_masks_come_from(tmp_path, masks, sources):
    summary = run(tmp_path, with_mask=lambda label, number: number % 2, size=64, masks=masks)
    index, _, label_maps = load(tmp_path, "train")
    assert {row["mask_source"] for row in index} == sources
    assert sum(summary["masks"][source] for source in sources) == 30
    assert (summary["masks"]["coding"] == "none") == (masks == "threshold")
    for row, label_map in zip(index, label_maps, strict=True):
        assert set(np.unique(label_map)) <= {0, int(row["label"]) + 1}
        if row["mask_source"] == "threshold":
            assert label_map.any()
        elif row["mask_source"] == "none":
            assert not label_map.any()


def test_a_set_without_any_mask_has_all_by_threshold_but_those_of_its_normal_class(tmp_path):
    summary = run(tmp_path, with_mask=lambda label, number: False, size=64, masks="auto")
    assert (summary["masks"]["threshold"], summary["masks"]["normal"]) == (20, 10)
    index, _, label_maps = load(tmp_path, "train")
    for row, label_map in zip(index, label_maps, strict=True):
        assert (row["mask_source"], label_map.any()) == (
            ("normal", False) if row["label"] == "1" else ("threshold", True)
        )


@pytest.mark.parametrize("masks", ["auto", "given", "given_else_threshold"])
def test_a_class_without_defects_needs_no_masks(tmp_path, masks):
    summary = run(tmp_path, with_mask=lambda label, number: label != "good", masks=masks)
    assert (summary["masks"]["given"], summary["masks"]["normal"], summary["masks"]["none"]) == (20, 10, 0)
    assert summary["masks"]["normal_classes"] == ["good"]
    index, _, label_maps = load(tmp_path, "train")
    run(tmp_path / "given")
    assert np.array_equal(label_maps, load(tmp_path / "given", "train")[2])
    assert {row["mask_source"] for row in index if row["label"] == "1"} == {"normal"}


def test_masks_say_more_than_a_name(tmp_path):
    summary = run(
        tmp_path, lambda label, area: binary(label, area | (label == "good")), lambda label, number: number < 6
    )
    assert summary["masks"]["normal_classes"] == summary["masks"]["unmarked_classes"] == []
    assert summary["masks"]["none"] == 12


def test_a_class_without_masks_that_is_not_called_normal_is_named(tmp_path):
    only_dents = {"with_mask": lambda label, number: label == "dent"}
    summary = run(tmp_path, **only_dents, normal_classes=[])
    assert summary["masks"]["unmarked_classes"] == ["good", "scratch"]
    assert "prepare.normal_classes: [good, scratch]" in normal_message(summary["masks"])
    black = run(tmp_path / "black", with_mask=lambda label, number: label != "scratch", normal_classes=[])
    assert black["masks"]["unmarked_classes"] == ["scratch"]  # good ones have masks, which are empty
    summary = run(tmp_path / "said", **only_dents, normal_classes=["scratch", "good"])
    assert summary["masks"]["normal_classes"] == ["good", "scratch"]
    assert normal_message(summary["masks"]).startswith(
        "good, scratch: without defects, an empty mask for 20 photographs"
    )
    assert normal_message(run(tmp_path / "all")["masks"]) == ""
    assert normal_message(run(tmp_path / "none", with_mask=lambda label, number: False, masks="none")["masks"]) == ""
    mixed = run(tmp_path / "mixed", **only_dents, masks="given_else_threshold", size=64)["masks"]
    assert normal_message(mixed) == "good: without defects, an empty mask for 10 photographs that have none " + (
        "(prepare.normal_classes)"
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("drawn", [{"dent"}, {"dent", "good"}])
def test_few_masks_reach_training_and_validation(tmp_path, seed, drawn):
    """The masks of good ones are black: they are there, and show nothing."""
    summary = run(tmp_path, with_mask=lambda label, number: label in drawn and (number < 2 or label == "good"),
                  masks="auto", seed=seed)  # fmt: skip
    assert summary["marked"] == {"train": 1, "val": 1, "test": 0}
    assert set(summary["counts"]["val"].values()) == {2}
    assert summary["masks"]["normal_classes"] == ["good"]


def test_masks_that_show_nothing_are_none(tmp_path):
    summary = run(tmp_path, with_mask=lambda label, number: label == "good", size=64, masks="auto")
    assert (summary["masks"]["coding"], summary["masks"]["threshold"], summary["masks"]["normal"]) == ("none", 20, 10)


def test_masks_of_defects_that_show_nothing_are_not_replaced_by_a_rule(tmp_path):
    black = {"draw": lambda label, area: binary(label, area & False), "size": 64}
    with pytest.raises(DataError, match=r"30 masks were read and not one shows anything, those of dent, scratch"):
        run(tmp_path, **black, masks="auto")
    assert run(tmp_path / "rule", **black, masks="threshold")["masks"]["threshold"] == 20


def test_masks_of_a_class_that_are_too_dark_to_count_are_noticed(tmp_path):
    def draw(label, area):
        return (area[:, :, None] * np.array((0, 0, 60) if label == "scratch" else (255, 0, 0))).astype(np.uint8)

    def noisy(label, area):
        return (area[:, :, None] * np.array((255, 0, 0)) + 20 * (label == "good")).astype(np.uint8)

    run(tmp_path / "noise", noisy)
    with pytest.raises(DataError, match=r"10 masks of scratch, scratch/\d+\.png for one, .* too dark .*colours"):
        run(tmp_path, draw)


def test_masks_that_mark_nearly_everything_are_said_to_be(tmp_path):
    def on_white(label, area):
        return np.where(area[:, :, None], (0, 0, 255), 255).astype(np.uint8)

    assert "WARNING: 30 of 30 masks mark nearly the whole" in marks_message(run(tmp_path, on_white, normal_classes=[]))
    assert marks_message(run(tmp_path / "right", size=64)) == ""


def test_masks_that_were_left_out_are_counted(tmp_path):
    assert "3 masks were left out" in marks_message(run(tmp_path, size=64) | {"masks_left_out": 3})


def test_fewer_masks_are_fewer_of_defects(tmp_path):
    for drawn in (lambda label, number: label != "good", lambda label, number: False):
        folder = tmp_path / str(drawn("dent", 0))
        run(folder, with_mask=drawn, masks="auto", size=64, mask_limit=4)
        sources = {row["name"]: row["mask_source"] for row in load(folder, "train")[0]}
        assert {source for name, source in sources.items() if name.startswith("good")} == {"normal"}
        assert sum(source in ("given", "threshold") for source in sources.values()) == 4


def test_a_padded_border_is_never_a_mark(tmp_path):
    run(tmp_path, size=64, resize="pad", masks="threshold")
    _, images, label_maps = load(tmp_path, "train")
    assert (images[:, :7] == (124, 116, 104)).all()
    assert not label_maps[:, :8].any()
    assert not label_maps[:, 56:].any()


def test_ids_in_another_order_than_the_classes_are_noticed(tmp_path):
    wrong = {"dent": 2, "good": 0, "scratch": 1}
    with pytest.raises(DataError, match=r"10 of 10 masks of dent, .* do not mark .*1 = dent, 2 = good.*mask_table"):
        run(tmp_path, lambda label, area: (area * wrong[label]).astype(np.uint8))


def test_ids_that_leave_out_a_class_without_defects_are_noticed(tmp_path):
    left_out = {"dent": 1, "good": 0, "scratch": 2}
    with pytest.raises(DataError, match=r"10 of 10 masks of scratch, .*2 = good.*mask_table"):
        run(tmp_path / "a", lambda label, area: (area * left_out[label]).astype(np.uint8))
    table = {"dent": 1, "scratch": 2}
    run(tmp_path / "b", lambda label, area: (area * left_out[label]).astype(np.uint8), mask_table=table)


def test_ids_that_number_kinds_of_defect_are_noticed(tmp_path):
    kinds = {"dent": 1, "good": 0, "scratch": 3}

    def drawn(label, area):
        numbers = np.full(area.shape, kinds[label], np.uint8)
        numbers[:8] = min(2, kinds[label])  # 2 would be the class `good`
        return np.where(area, numbers, 0).astype(np.uint8)

    with pytest.raises(
        DataError, match=r"masks, scratch/\d\d\.png for one, mark a class without defects or .* \(good\)"
    ):
        run(tmp_path / "a", drawn)
    without = {"with_mask": lambda label, number: label != "good", "normal_classes": []}
    with pytest.raises(DataError, match=r"masks, scratch/\d\d\.png for one, mark .* a mask of its own \(good\)"):
        run(tmp_path / "d", drawn, **without)
    run(tmp_path / "b", drawn, mask_coding="binary")
    run(tmp_path / "c", drawn, mask_table={"dent": 1, "good": 2, "scratch": 3})


def test_masks_that_look_inverted_are_said_to_be(tmp_path):
    upright = run(tmp_path / "a")
    assert marks_message(upright) == ""
    inverted = run(tmp_path / "b", lambda label, area: np.where(area, 0, 255).astype(np.uint8))
    assert "20 of 20 masks, that of dent/00.png for one, mark the whole border" in marks_message(inverted)
    drawn = iter(range(100))
    one = run(tmp_path / "c", lambda label, area: binary(label, area if next(drawn) != 3 else ~area))
    assert "1 of 20 masks, that of dent/03.png for one, mark the whole border" in marks_message(one)
    white = {"nearly_all": 18, "given": 20, "in_part": 20, "hollow": ["dent/03.png"]}
    assert "18 of 20 masks mark nearly the whole photograph" in marks_message(one | {"masks": one["masks"] | white})


def test_masks_too_dark_to_be_read_are_said_to_teach_nothing(tmp_path):
    drawn = iter(range(100))

    def some_faint(label, area):
        soft = np.where(area, 120 if next(drawn) % 3 == 0 else 255, 0).astype(np.uint8)
        return cv2.GaussianBlur(soft, (7, 7), 0)

    assert "7 masks, that of dent/00.png for one, show something too dark" in marks_message(run(tmp_path, some_faint))


def test_even_dark_masks_of_good_parts_mark_nothing(tmp_path):
    def video(label, area):
        return cv2.GaussianBlur(np.where(area, 235, 16).astype(np.uint8), (7, 7), 0)

    summary = run(tmp_path, video)
    assert summary["masks"]["coding"] == "grey"
    assert summary["masks"]["something"] == 20, "none of the ten of good"


def test_folders_that_hold_parts_with_and_without_a_defect_are_noticed(tmp_path):
    drawn = iter(range(100))
    summary = run(tmp_path, lambda label, area: binary(label, area & (next(drawn) % 4 == 0)), normal_classes=[])
    assert "masks show nothing, in classes of which" in marks_message(summary)


def test_a_class_called_good_of_which_a_mask_shows_something_is_named(tmp_path):
    drawn = iter(range(100))
    summary = run(tmp_path, lambda label, area: binary("dent", area | (next(drawn) == 12)))
    assert summary["masks"]["doubtful_classes"] == {"good": "good/02.png"}
    assert "good is not taken as a class without defects, since the mask of good/02.png" in normal_message(
        summary["masks"]
    )


def test_marks_too_small_for_the_prepared_size_are_said_to_be(tmp_path):
    def dot(label, area):
        drawn = np.zeros(area.shape, np.uint8)
        drawn[10:12, 10:14] = 255
        return drawn

    assert "half of the marks are smaller than 1.6 × 1.6 pixels" in marks_message(run(tmp_path, dot))


def test_masks_that_all_lost_their_photographs_are_not_made_by_a_rule(tmp_path):
    lost = [Rejected("masks/1.png", "no image goes with it", mask=True)]
    write_raw([*photographs(binary, with_mask=lambda *_: False), *lost], tmp_path / "raw", "folder", False, 10**6)
    with pytest.raises(DataError, match=r"1 masks or annotations were found and none can be used .*rejected\.csv"):
        prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS | {"masks": "auto"})
    prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS | {"masks": "none"})


def test_photographs_that_were_left_out_for_their_masks_are_not_replaced_by_a_rule(tmp_path):
    """Masks of another size take their photographs with them: the others would go on with masks that nobody drew."""
    small = cv2.imencode(".png", np.full((8, 8), 255, np.uint8))[1].tobytes()
    drawn = [
        replace(sample, mask=small) if number % 2 else replace(sample, mask=None)
        for number, sample in enumerate(photographs(binary))
    ]
    summary = write_raw(drawn, tmp_path / "raw", "folder", False, 10**6)
    assert summary["masks_left_out"] == summary["rejected"] == len(drawn) // 2
    with pytest.raises(DataError, match=rf"{len(drawn) // 2} masks or annotations were found"):
        prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS | {"masks": "auto"})


def test_masks_by_a_rule_are_said_to_be(tmp_path):
    assert "made by a rule" not in marks_message(run(tmp_path / "given", size=64))
    warned = marks_message(run(tmp_path, with_mask=lambda *_: False, masks="auto", size=64))
    assert warned.startswith("WARNING: all 20 masks were made by a rule")


def test_oblong_photographs_that_are_squashed_are_said_to_be(tmp_path):
    summary = run(tmp_path, size=64)
    assert shape_message(summary | {"resize": "squash", "aspect": 1.0}) == ""
    assert shape_message(summary | {"resize": "pad", "aspect": 4.0}) == ""
    assert "1.5 times as long as wide" in shape_message(summary | {"resize": "squash", "aspect": 1.5})
    rows = [{"width": "30", "height": "20"}, {"width": "10", "height": "20"}, {"width": "8", "height": "8"}]
    assert aspect(rows) == 1.5


def test_more_classes_than_a_mask_holds_are_refused(tmp_path):
    picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    write_raw([Sample(f"{n}/1.png", f"{n:03d}", picture + bytes([n % 256, n // 256])) for n in range(256)],
              tmp_path / "raw", "folder", False, 10**6)  # fmt: skip
    with pytest.raises(DataError, match=r"256 classes: a mask holds 255 at most.*prepare.masks: none"):
        prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS | {"masks": "auto"})


def test_an_unknown_colour_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"scratch/\d\d.png holds the colour \[0, 0, 255\]"):
        run(tmp_path, coloured, mask_table={"dent": [255, 0, 0]})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"resize": "crop"}, "prepare.resize='crop'"),
        ({"masks": "some"}, "prepare.masks='some'"),
        ({"size": 0}, "prepare.image_size=0"),
        ({"mask_coding": "rle"}, "prepare.mask_coding='rle' is unknown; use auto, binary"),
        ({"mask_coding": "labels", "mask_table": {"rust": 1}}, "'rust'"),
        ({"normal_classes": ["fine"]}, "prepare.normal_classes names 'fine'; the classes are dent, good, scratch"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_written(tmp_path, settings, complaint):
    with pytest.raises(DataError, match=complaint):
        run(tmp_path, **settings)
    assert not (tmp_path / "prepared").exists()


def test_training_images_without_any_mask_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no image of the split 'train' has a mask .*given_else_threshold"):
        run(tmp_path, with_mask=lambda label, number: False, masks="given")


def test_a_class_too_small_to_split_is_named_before_anything_is_written(tmp_path):
    samples = [sample for sample in photographs(binary) if not sample.name.startswith("good/0") or "00" in sample.name]
    write_raw(samples, tmp_path / "raw", "folder", synthetic=False, max_pixels=10**6)
    with pytest.raises(DataError, match="class 'good' has 1 images"):
        prepare(tmp_path / "raw", tmp_path / "prepared", **SETTINGS)
    assert not (tmp_path / "prepared").exists()


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_two_processes_write_the_same_bytes(tmp_path):
    code = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
        "import test_prepare as t; t.run(Path(sys.argv[1]), masks='given_else_threshold')"
    )
    for name, seed in (("one", "1"), ("two", "2")):
        environment = {"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": ":".join(sys.path)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert len(digest(tmp_path / "one/prepared")) == 16
