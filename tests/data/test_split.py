from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectdistill.data.errors import DataError
from defectdistill.data.split import SIDES, fold_split, grouped_split

FRACTIONS = (0.7, 0.15, 0.15)


def counted(labels, sides):
    return {label: tuple(Counter(zip(labels, sides, strict=True))[label, side] for side in SIDES) for label in labels}


def test_single_images_are_stratified_exactly():
    labels = ["short"] * 32 + ["fire"] * 29 + ["flame"] * 55
    groups = [f"{label}{i}" for i, label in enumerate(labels)]
    sides = grouped_split(labels, groups, FRACTIONS, seed=0)
    assert counted(labels, sides) == {"short": (22, 5, 5), "fire": (20, 5, 4), "flame": (39, 8, 8)}


@pytest.mark.parametrize("count", range(3, 12))
def test_small_classes_reach_every_side(count):
    labels = ["a"] * count + ["b"] * 40
    sides = grouped_split(labels, [str(i) for i in range(len(labels))], FRACTIONS, seed=1)
    assert min(counted(labels, sides)["a"]) >= 1


def test_uneven_groups_of_several_classes_come_close_to_the_fractions():
    rng = np.random.default_rng(0)
    labels, groups = [], []
    for group in range(80):
        main = "abcd"[group % 4]
        for _ in range(int(rng.integers(1, 8))):
            labels.append(main if rng.random() < 0.9 else "abcd"[int(rng.integers(4))])
            groups.append(f"object {group}")
    shares = {label: np.array(numbers) / sum(numbers) for label, numbers in
              counted(labels, grouped_split(labels, groups, FRACTIONS, 0)).items()}  # fmt: skip
    assert all(np.abs(share - FRACTIONS).max() < 0.07 for share in shares.values())


@pytest.mark.parametrize("folds", [3, 5])
def test_over_all_folds_every_image_is_tested_once_and_validated_once(folds):
    rng = np.random.default_rng(1)
    groups = [f"object {group}" for group in rng.integers(0, 40, 200)]
    labels = ["abc"[int(group.split()[1]) % 3] for group in groups]
    rounds = [fold_split(labels, groups, folds, fold, seed=2) for fold in range(folds)]
    for side in ("test", "val"):
        assert [row.count(side) for row in zip(*rounds, strict=True)] == [1] * 200
    for sides in rounds:
        owners = defaultdict(set)
        for group, side in zip(groups, sides, strict=True):
            owners[group].add(side)
        assert all(len(owner) == 1 for owner in owners.values())
        tested = Counter(label for label, side in zip(labels, sides, strict=True) if side == "test")
        assert all(tested[label] == pytest.approx(labels.count(label) / folds, abs=6) for label in "abc")
    following = fold_split(labels, groups, folds, 1, seed=2)
    assert [side == "val" for side in rounds[0]] == [side == "test" for side in following]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_masks_reach_training_then_validation_then_test(seed, count):
    labels, groups = ["a"] * 20 + ["b"] * 20, [str(number) for number in range(40)]
    few = [number >= 40 - count for number in range(40)]
    sides = grouped_split(labels, groups, FRACTIONS, seed, few)
    reached = {side for side, mask in zip(sides, few, strict=True) if mask}
    assert reached == set(SIDES[: min(count, 3)])
    assert counted(labels, sides) == {"a": (14, 3, 3), "b": (14, 3, 3)}


@pytest.mark.parametrize("seed", range(12))
def test_of_large_groups_with_masks_a_small_one_is_taken_where_it_fits(seed):
    groups = ["x"] * 12 + ["y"] * 10 + ["z"] * 3 + [str(number) for number in range(15)]
    masks = [group in "xyz" for group in groups]
    sides = grouped_split(["a"] * 40, groups, FRACTIONS, seed, masks)
    assert Counter(sides) == {"train": 28, "val": 6, "test": 6}
    assert {side for side, mask in zip(sides, masks, strict=True) if mask} >= {"train", "val"}


def test_masks_never_make_a_split_impossible():
    rng, refused = np.random.default_rng(1), 0
    for seed in range(60):
        labels = [str(label) for label in rng.integers(0, 3, 30)]
        groups = [str(group) for group in rng.integers(0, 9, 30)]
        masks = [group in ("0", "1") for group in groups]
        try:
            grouped_split(labels, groups, FRACTIONS, seed)
        except DataError:
            refused += 1
            continue
        grouped_split(labels, groups, FRACTIONS, seed, masks)
    assert refused < 50  # most were divided, with and without


@pytest.mark.parametrize("seed", range(12))
def test_few_masks_are_in_every_fold_and_where_they_suffice_nothing_moves(seed):
    labels, groups = ["a"] * 20 + ["b"] * 20, [str(number) for number in range(40)]
    few = [number in (3, 4, 21, 30) for number in range(40)]
    sides = [fold_split(labels, groups, 4, fold, seed, few) for fold in range(4)]
    assert all({side for side, mask in zip(each, few, strict=True) if mask} == set(SIDES) for each in sides)
    assert {each.count("test") for each in sides} == {10}
    assert fold_split(labels, groups, 4, 0, seed, [True] * 40) == fold_split(labels, groups, 4, 0, seed)


def test_a_class_with_fewer_groups_than_folds_is_named():
    labels, groups = ["rare"] * 4 + ["common"] * 20, [str(number) for number in range(24)]
    with pytest.raises(DataError, match=r"'rare' has 4 images in 4 group\(s\); at least 5 groups.*fold 0, .* fold 4"):
        fold_split(labels, groups, 5, 0, seed=0)


def test_classes_with_few_groups_reach_every_side():
    labels = ["rare"] * 23 + ["common"] * 100
    groups = ["r1"] * 12 + ["r2"] * 6 + ["r3"] * 5 + [f"c{i}" for i in range(100)]
    assert min(counted(labels, grouped_split(labels, groups, FRACTIONS, 0))["rare"]) == 5


def test_the_same_seed_gives_the_same_split_in_any_order_of_input():
    labels = [label for label in "abc" for _ in range(30)]
    groups = [f"g{i // 2}" for i in range(90)]
    one = dict(zip(groups, grouped_split(labels, groups, FRACTIONS, 5), strict=True))
    back = dict(zip(groups[::-1], grouped_split(labels[::-1], groups[::-1], FRACTIONS, 5), strict=True))
    other = dict(zip(groups, grouped_split(labels, groups, FRACTIONS, 6), strict=True))
    assert one == back
    assert one != other


def test_too_few_groups_are_named():
    with pytest.raises(DataError, match=r"class 'b' has 2 images in 2 group\(s\); at least 3 groups"):
        grouped_split(["a"] * 9 + ["b"] * 2, [str(i) for i in range(11)], FRACTIONS, 0)


def test_a_group_that_spans_everything_is_named():
    with pytest.raises(DataError, match=r"'line 1', holds 20 images of 2 class"):
        grouped_split(["a", "b"] * 10, ["line 1"] * 20, FRACTIONS, 0)


def test_groups_that_tie_classes_together_are_named():
    # Each class has three groups, which must lie on three sides; four groups of which any three must differ cannot.
    with pytest.raises(DataError, match="no split brings every class"):
        grouped_split(list("wwwxxxyyyzzz"), list("123124134234"), FRACTIONS, 0)


def test_groups_that_share_classes_are_told_apart_where_it_can_be_done():
    labels, groups = list("xxxyyy"), list("123124")
    sides = grouped_split(labels, groups, FRACTIONS, 0)
    assert counted(labels, sides) == {"x": (1, 1, 1), "y": (1, 1, 1)}


@pytest.mark.parametrize("fractions", [(0.7, 0.3, 0), (0.5, 0.2, 0.2), (1.2, -0.1, -0.1), (0.5, 0.5)])
def test_wrong_fractions_are_refused(fractions):
    with pytest.raises(DataError, match="add up to 1"):
        grouped_split(["a"] * 9, [str(i) for i in range(9)], fractions, 0)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 15)), min_size=1, max_size=60), st.integers(0, 3))
def test_no_group_on_two_sides_and_every_class_on_each(images, seed):
    labels, groups = [label for label, _ in images], [str(group) for _, group in images]
    groups_of = defaultdict(set)
    for label, group in zip(labels, groups, strict=True):
        groups_of[label].add(group)
    try:
        sides = grouped_split(labels, groups, FRACTIONS, seed)
    except DataError as error:
        assert min(map(len, groups_of.values())) < 3 or "no split brings" in str(error)  # noqa: PT017
        return
    assert len(sides) == len(images)
    assert set(sides) <= set(SIDES)
    assert len(set(zip(groups, sides, strict=True))) == len(set(groups))
    assert all(min(numbers) >= 1 for numbers in counted(labels, sides).values())
