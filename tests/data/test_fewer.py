from collections import Counter

import numpy as np
import pytest
from test_prepare import load, run

from defectdistill.data.errors import DataError
from defectdistill.data.fewer import kept, set_aside

ROWS = [
    {"name": f"{label}{number}", "label": label, "mask": "m.png"}
    for label, count in (("a", 40), ("b", 20), ("c", 2))
    for number in range(count)
]


def chosen(limit, rows=ROWS, seed=0):
    keeps = kept(rows, limit, "label_limit", seed)
    return {row["name"] for row, keep in zip(rows, keeps, strict=True) if keep}


def test_the_limit_is_met_in_proportion_and_every_class_keeps_one():
    names = chosen(31)
    assert len(names) == 31
    assert Counter(name[0] for name in names) == {"a": 20, "b": 10, "c": 1}
    assert Counter(name[0] for name in chosen(3)) == {"a": 1, "b": 1, "c": 1}
    assert len(chosen(None)) == len(chosen(62)) == len(chosen(1000)) == 62


def test_fewer_are_part_of_more_whatever_the_order_and_another_seed_takes_others():
    assert chosen(10) < chosen(20) < chosen(40)
    assert chosen(20, ROWS[::-1]) == chosen(20)
    assert chosen(20, seed=1) != chosen(20)


def test_a_limit_below_the_number_of_classes_is_refused():
    with pytest.raises(DataError, match=r"prepare.label_limit = 2: each of the 3 classes needs one \(a, b, c\)"):
        chosen(2)


def test_validation_and_test_keep_all():
    sides = ["test" if number % 3 == 0 else "val" if number % 3 == 1 else "train" for number in range(len(ROWS))]
    labelled, left, lost = set_aside(ROWS, sides, 6, 4, 0, given=True)
    assert Counter(left) == {"train": 6} | {side: count for side, count in Counter(sides).items() if side != "train"}
    assert len(lost) == Counter(sides)["train"] - 6
    bare = [(row, side) for row, side in zip(labelled, left, strict=True) if "without_mask" in row]
    assert [side for _, side in bare] == ["train", "train"]


def test_photographs_without_a_mask_do_not_count_as_masks():
    rows = [row | {"mask": "m.png" if number % 5 == 0 else ""} for number, row in enumerate(ROWS)]
    there = sum(bool(row["mask"]) for row in rows)
    labelled, _, _ = set_aside(rows, ["train"] * len(rows), None, there - 2, 0, given=True)
    bare = [row for row in labelled if "without_mask" in row]
    assert len(bare) == 2
    assert all(row["mask"] for row in bare)
    labelled, _, _ = set_aside(rows, ["train"] * len(rows), None, there + 1, 0, given=True)  # more than there are
    assert not [row for row in labelled if "without_mask" in row]
    labelled, _, _ = set_aside(rows, ["train"] * len(rows), None, 10, 0, given=False)  # all have one, by threshold
    assert len([row for row in labelled if "without_mask" not in row]) == 10


def test_prepare_moves_them_to_the_photographs_without_a_label(tmp_path):
    summary = run(tmp_path, label_limit=9, mask_limit=4, masks="given_else_threshold")
    assert summary["counts"]["train"] == {"dent": 3, "good": 3, "scratch": 3}
    assert (summary["unlabelled"], summary["label_set_aside"]) == (1 + 12, 12)
    assert summary["protocol"] == (
        "stratified 70/15/15 by group, seed 0; at most 9 labels of training photographs kept; "
        "at most 4 masks of training photographs with defects kept"
    )
    train, _, masks = load(tmp_path, "train")
    assert Counter(row["mask_source"] for row in train) == {"given": 7, "none": 2}  # all three of good ones
    without = np.array([row["mask_source"] == "none" for row in train])
    assert not masks[without].any()  # no threshold mask in place of what is set aside
    index, images = load(tmp_path, "unlabelled")
    names = [row["name"] for row in index]
    assert names == sorted(names)
    assert not set(names) & {row["name"] for row in train}
    assert len(images) == 13
    assert {row["held_out"] for row in index} == {""}
    assert len(load(tmp_path, "test")[0]) == 3
