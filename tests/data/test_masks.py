import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.mask_image import MaskImage
from defectdistill.data.masks import detect_coding, resolve_table, to_label_map

CLASSES = ["dent", "pit", "scratch"]
RED, GREEN, BLACK = (255, 0, 0), (0, 200, 0), (0, 0, 0)


def grey(*values):
    return MaskImage(np.array([values], np.uint8))


def colour(*values):
    return MaskImage(np.array([values], np.uint8))


def palette(indices, *colours):
    table = np.zeros((256, 3), np.uint8)
    table[: len(colours)] = colours
    return MaskImage(np.array([indices], np.uint8), table)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ([grey(0, 255), grey(0, 0)], "binary"),
        ([grey(0, 0)], "binary"),
        ([grey(0, 1), grey(1, 1)], "zero_one"),
        ([grey(0, 1), grey(0, 2), grey(3)], "labels"),
        ([grey(0, 2)], "labels"),
        ([grey(0, 3, 60, 90, 130, 200, 255)], "grey"),
        ([grey(0, 100), grey(0)], "binary"),
        ([grey(0, 1), grey(0, 255)], "grey"),
        ([colour(BLACK, RED), colour(BLACK, GREEN)], "colours"),
        ([palette([0, 1], BLACK, RED, GREEN), palette([0, 2], BLACK, RED, GREEN)], "palette"),
        # Each file with a palette of its own: the index says nothing.
        ([palette([0, 1], BLACK, RED), palette([0, 1], BLACK, GREEN)], "colours"),
        ([palette([0, 1], BLACK, RED), palette([0, 2], BLACK, GREEN, GREEN)], "palette"),
        # One index beside the background cannot tell classes apart.
        ([palette([0, 1], BLACK, RED)], "colours"),
        ([palette([0, 9], BLACK, *[RED] * 9)], "colours"),
        ([palette([0, 2], RED, GREEN, BLACK)], "colours"),
        ([palette([0, 1], BLACK, (255, 255, 255))], "binary"),
        ([colour(BLACK, RED), grey(0, 255)], "colours"),
    ],
)
def test_coding_is_detected_over_the_whole_set(masks, expected):
    assert detect_coding(iter(masks), len(CLASSES)) == expected


@pytest.mark.parametrize("values", [(85, 170, 255), (1, 2, 255), (40, 80), tuple(range(10, 100, 9))])
def test_grey_levels_that_mean_nothing_known_are_refused(values):
    with pytest.raises(DataError, match=r"grey levels .*prepare\.mask_table"):
        detect_coding([grey(0, *values)], 3)


@pytest.mark.parametrize(
    "masks",
    [
        [grey(0, 1, 255), grey(0, 255)],
        [grey(0, 1, 255), grey(0, 2, 255), grey(0, 3, 3)],
        [grey(0, value) for value in (50, 100, 150, 200, 250)],
    ],
    ids=["a border around an id", "a border around ids", "kinds of defect as greys"],
)
def test_greys_that_stand_for_kinds_are_refused_with_two_classes_too(masks):
    with pytest.raises(DataError, match=r"grey levels .*prepare\.mask_table"):
        detect_coding(iter(masks), 2)


def test_files_of_0_and_1_beside_files_of_0_and_255_mean_the_same():
    assert detect_coding([grey(0, 1), grey(0, 255)], 2) == "grey"


def test_a_table_decides_the_coding():
    assert detect_coding([grey(0, 255)], 3, {"dent": 255}) == "labels"
    assert detect_coding([colour(BLACK, RED)], 3, {"dent": [255, 0, 0]}) == "colours"
    assert detect_coding([palette([0, 1], BLACK, RED)], 3, {"dent": 1}) == "palette"
    assert detect_coding([palette([0, 1], BLACK, RED)], 3, {"dent": [255, 0, 0]}) == "colours"


def label_map(mask, coding, class_index=1, table=None):
    return to_label_map(mask, coding, class_index, resolve_table(table, CLASSES, coding), "a/x.png").tolist()[0]


@pytest.mark.parametrize("coding", ["binary", "zero_one", "grey"])
def test_binary_masks_take_the_class_of_their_image(coding):
    assert label_map(grey(0, 255, 0), coding) == [0, 2, 0]
    assert label_map(grey(0, 1, 1), coding) == [0, 2, 2]
    assert label_map(grey(0, 127, 128, 255), coding) == [0, 0, 2, 2]
    assert label_map(grey(0, 0), coding) == [0, 0]


def test_ids_stand_for_the_classes_in_order_without_a_table():
    assert label_map(grey(0, 3, 1, 2), "labels") == [0, 3, 1, 2]
    assert label_map(palette([0, 3], BLACK, RED, GREEN, RED), "palette") == [0, 3]


def test_ids_follow_the_table():
    assert label_map(grey(0, 10, 20), "labels", table={"scratch": 10, "dent": 20}) == [0, 3, 1]
    assert label_map(grey(255, 0), "labels", table={"background": 255, "dent": 0}) == [0, 1]


def test_colours_follow_the_table_or_mean_the_class_of_their_image():
    table = {"scratch": [255, 0, 0], "dent": [0, 200, 0]}
    assert label_map(colour(BLACK, RED, GREEN), "colours", table=table) == [0, 3, 1]
    assert label_map(palette([1, 0], BLACK, RED), "colours", table=table) == [3, 0]
    assert label_map(colour(BLACK, RED, GREEN, (9, 12, 3)), "colours") == [0, 2, 2, 0]


def test_a_white_background_can_be_named():
    table = {"background": [255, 255, 255], "dent": [255, 0, 0]}
    assert label_map(colour((255, 255, 255), RED), "colours", table=table) == [0, 1]


def test_result_is_uint8_of_the_same_shape():
    mask = MaskImage(np.zeros((5, 7, 3), np.uint8))
    for coding in ("colours", "binary"):
        result = to_label_map(mask, coding, 0, None, "x")
        assert (result.dtype, result.shape) == (np.uint8, (5, 7))


def test_an_unknown_id_is_named_with_file_and_table():
    with pytest.raises(DataError, match=r"a/x.png holds the id 7 .*\(0 = 0, 10 = 1;.*mask_table"):
        label_map(grey(0, 7), "labels", table={"dent": 10})


def test_an_unknown_colour_is_named_with_file_and_table():
    with pytest.raises(DataError, match=r"a/x.png holds the colour \[0, 200, 0\] .*\[255, 0, 0\] = 1"):
        label_map(colour(RED, GREEN), "colours", table={"dent": [255, 0, 0]})


def test_colours_are_not_read_as_ids():
    with pytest.raises(DataError, match="mask_coding=colours"):
        label_map(colour(RED, GREEN), "labels")


@pytest.mark.parametrize(
    ("table", "coding", "complaint"),
    [
        ({"rust": 1}, "labels", "'rust'; the classes are dent, pit, scratch"),
        ({"dent": 300}, "labels", "from 0 to 255"),
        ({"dent": [1, 2]}, "colours", r"\[r, g, b\]"),
        ({"dent": 5}, "colours", r"\[r, g, b\]"),
        ({"dent": [1, 2, 3]}, "labels", "whole number"),
        ({"dent": 4, "pit": 4}, "labels", "another entry"),
        ({"dent": 0}, "labels", "another entry"),
        ({"dent": 1}, "binary", "mask_table is set, but the masks are read as 'binary'.*prepare.mask_coding"),
        ({"dent": 1}, "grey", "where the class of an image decides: leave it out"),
    ],
)
def test_a_wrong_table_is_refused(table, coding, complaint):
    with pytest.raises(DataError, match=complaint):
        resolve_table(table, CLASSES, coding)
