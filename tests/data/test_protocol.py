import numpy as np
import pytest
from test_prepare import CLASSES, load, run

from defectdistill.data.augment import PUBLISHED, augment, augment_one, copy_seed, table3
from defectdistill.data.errors import DataError
from defectdistill.data.protocol import COPIES, PROTOCOLS, by_photograph, described, divide
from defectdistill.data.split import fold_split

FRACTIONS = (0.7, 0.15, 0.15)


def photographs(objects=12, of_each=5):
    return [
        {"name": f"{label}/{number}-{view}.png", "label": label, "group": f"{label}-{number}", "mask": ""}
        for label in ("dent", "scratch")
        for number in range(objects)
        for view in range(of_each)
    ]


def sides_of(rows, sides, key):
    found = {}
    for row, side in zip(rows, sides, strict=True):
        found.setdefault(row[key].split(" (copy")[0], set()).add(side)
    return found


def test_by_group_no_object_is_on_two_sides():
    rows, sides = divide(photographs(), "grouped", FRACTIONS, seed=0)
    assert {len(each) for each in sides_of(rows, sides, "group").values()} == {1}
    assert {row["copy"] for row in rows} == {"0"}


def test_at_random_objects_are_on_several_sides_and_photographs_on_one():
    rows, sides = divide(photographs(), "random", FRACTIONS, seed=0)
    assert max(len(each) for each in sides_of(rows, sides, "group").values()) > 1
    assert {len(each) for each in sides_of(rows, sides, "name").values()} == {1}
    assert [sides.count(side) for side in ("train", "val", "test")] == [84, 18, 18]


def test_after_augmentation_copies_of_one_photograph_are_on_several_sides():
    rows, sides = divide(photographs(), "after_augmentation", FRACTIONS, seed=0)
    assert len(rows) == 120 * (COPIES + 1) == len({row["name"] for row in rows})
    assert max(len(each) for each in sides_of(rows, sides, "name").values()) > 1
    assert sides.count("test") == 90  # 15 % of the copies, as in the paper: of 5 × 117 about 88


@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "given"])
def test_folds_follow_the_protocol(protocol):
    rows, sides = divide(photographs(), protocol, FRACTIONS, seed=1, folds=4, fold=2)
    labels, units = [row["label"] for row in rows], [row["group" if protocol == "grouped" else "name"] for row in rows]
    assert sides == fold_split(labels, units, 4, 2, 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("settings", [{}, {"folds": 3, "fold": 1}, {"protocol": "given"}, {"protocol": "random"}])
def test_few_masks_reach_training_and_validation(settings, seed):
    rows = [row | {"split": "train" if row["group"][-1] != "0" else "test"} for row in photographs(of_each=1)]
    drawn = {"dent/1-0.png", "dent/2-0.png", "dent/3-0.png"}
    divided, sides = divide(
        rows, **{"protocol": "grouped", "fractions": FRACTIONS, "seed": seed, "drawn": drawn} | settings
    )
    assert {"train", "val"} <= {side for row, side in zip(divided, sides, strict=True) if row["name"] in drawn}


@pytest.mark.parametrize("seed", range(6))
def test_a_given_split_moves_only_where_masks_must(seed):
    rows = [row | {"split": "train"} for row in photographs(of_each=1)]
    plain = divide(rows, "given", FRACTIONS, seed)[1]
    for few in ({row["name"] for row in rows[:9]}, {row["name"] for row in rows[3:6]}):
        reached = {side for row, side in zip(rows, plain, strict=True) if row["name"] in few}
        assert (divide(rows, "given", FRACTIONS, seed, drawn=few)[1] == plain) == (reached == {"train", "val"})


def test_a_given_test_split_is_kept_and_the_rest_divided_by_group():
    rows = photographs()
    for row in rows:
        row["split"] = "test" if row["group"].endswith(("-0", "-1", "-2")) else "train"
    divided, sides = divide(rows, "given", FRACTIONS, seed=0)
    assert {row["name"] for row, side in zip(divided, sides, strict=True) if side == "test"} == {
        row["name"] for row in rows if row["split"] == "test"
    }
    assert {len(each) for each in sides_of(divided, sides, "group").values()} == {1}
    words = described("given", FRACTIONS, 0, 0, 0)
    assert (
        words
        == "the test split as the data set gives it, 15 % of the others for validation, stratified by group, seed 0"
    )
    assert sides.count("val") == 10  # of nine groups of five a class: one is nearer to 15 % than two
    rows[7]["split"] = ""
    with pytest.raises(DataError, match=r"1 images, dent/1-2\.png for one, come without a split; use grouped"):
        divide(rows, "given", FRACTIONS, seed=0)


@pytest.mark.parametrize(("objects", "validated"), [(2, 1), (3, 1), (6, 1), (10, 1), (20, 3)])
def test_beside_a_given_test_split_few_photographs_are_for_learning_first(objects, validated):
    rows = [row | {"split": "train"} for row in photographs(objects, of_each=1)]
    rows += [row | {"name": f"{row['name']} tested", "split": "test"} for row in rows[:1] + rows[-1:]]
    sides = divide(rows, "given", FRACTIONS, seed=0)[1]
    assert sides.count("val") == 2 * validated  # of each class
    assert sides.count("train") == 2 * (objects - validated)


def test_beside_a_given_test_split_a_class_of_one_object_is_refused():
    rows = [row | {"split": "train"} for row in photographs(1)]
    with pytest.raises(DataError, match="at least 2 groups are needed, one each for train, val"):
        divide(rows, "given", FRACTIONS, seed=0)


def test_a_given_split_whose_test_images_nobody_could_learn_is_refused():
    rows = [
        {"name": f"{label}{number}", "label": label, "group": f"{label}{number}", "split": split}
        for label, split in (("good", "train"), ("good", "test"), ("crack", "test"))
        for number in range(10)
    ]
    with pytest.raises(DataError, match="of crack there are test images alone"):
        divide(rows, "given", (0.7, 0.15, 0.15), 0)


def test_copies_are_those_of_table_3_with_the_mask_of_their_photograph(tmp_path):
    summary = run(tmp_path / "plain")
    assert summary["divided"] == "grouped"
    summary = run(tmp_path / "copied", protocol="after_augmentation")
    assert summary["divided"] == "after_augmentation"
    assert "after augmentation" in summary["protocol"]
    assert sum(sum(counts.values()) for counts in summary["counts"].values()) == 3 * 10 * (COPIES + 1)
    originals = {}
    for side in ("train", "val", "test"):
        index, images, masks = load(tmp_path / "plain", side)
        originals |= {row["name"]: (image, mask) for row, image, mask in zip(index, images, masks, strict=True)}
    transforms, changed = table3(16, **PUBLISHED), 0
    for side in ("train", "val", "test"):
        for row, image, mask in zip(*load(tmp_path / "copied", side), strict=True):
            expected = originals[row["group"]]
            if row["copy"] != "0":
                expected = augment_one(*expected, transforms, copy_seed(0, row["name"], int(row["copy"])))
                changed += (expected[0] != originals[row["group"]][0]).any()
            np.testing.assert_array_equal(image, expected[0])
            np.testing.assert_array_equal(mask, expected[1])
    assert changed > 100
    assert {row["name"].split("/")[0] for row in load(tmp_path / "copied", "test")[0]} == set(CLASSES)


def test_augment_adds_nothing_to_them(tmp_path):
    run(tmp_path, protocol="after_augmentation")
    train = tmp_path / "prepared/train"
    augment(train, tmp_path / "augmented", copies=4, seed=0, **PUBLISHED)
    np.testing.assert_array_equal(np.load(tmp_path / "augmented/images.npy"), np.load(train / "images.npy"))


def test_rows_are_told_apart_by_photograph_however_their_copies_were_made():
    after = [("a.png", 0), ("a.png (copy 2)", 2), ("b.png (copy 4)", 4), ("b.png (copy 1)", 1), ("c (copy 1).png", 0)]
    before = [("a.png", 0), ("a.png", 1), ("b.png (copy 3)", 0), ("b.png (copy 3)", 1)]
    rows = [[{"name": name, "copy": str(copy)} for name, copy in named] for named in (after, before)]
    assert [by_photograph(each) for each in rows] == [[[0, 1], [3, 2], [4]], [[0, 1], [2, 3]]]
