import base64

import numpy as np
import pytest
from app_project import BOX, encoded, photograph

from defectdistill.app.limits import Limits
from defectdistill.app.masks import from_address, propose, to_address, working_copy
from defectdistill.app.session import keep
from defectdistill.app.uploads import Upload
from defectdistill.data.threshold_mask import threshold_mask


@pytest.mark.parametrize("shape", [(32, 32), (700, 1024), (1, 9)])
def test_what_is_drawn_comes_back_pixel_by_pixel(shape):
    image = np.zeros((*shape, 3), np.uint8)
    mask = np.random.default_rng(0).random(shape) < 0.5
    np.testing.assert_array_equal(from_address(to_address(mask), image), mask)


def test_of_a_large_photograph_a_smaller_copy_is_drawn_on():
    image = np.zeros((1500, 3072, 3), np.uint8)
    assert working_copy(image).shape == (500, 1024, 3)
    mask = np.zeros((500, 1024), bool)
    mask[10:20, 30:50] = True
    expected = np.zeros((1500, 3072), bool)
    expected[30:60, 90:150] = True
    np.testing.assert_array_equal(from_address(to_address(mask), image), expected)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "cannot be read"),
        ("data:image/png;base64,%%%", "cannot be read"),
        ("data:image/png;base64," + base64.b64encode(b"no png").decode(), "cannot be read"),
        ("data:text/html;base64,AAAA", "cannot be read"),
        (to_address(np.ones((9, 8), bool)), r"expected \(8, 9\)"),
        (to_address(np.ones((2000, 2000), bool)), "cannot be read.*more than the limit"),
    ],
)
def test_what_is_no_drawing_of_this_photograph_is_refused(address, words):
    with pytest.raises(ValueError, match=words):
        from_address(address, np.zeros((8, 9, 3), np.uint8))


def test_half_transparent_counts_from_half_on():
    layer = np.zeros((2, 2, 4), np.uint8)
    layer[..., 3] = [[0, 127], [128, 255]]
    address = "data:image/png;base64," + base64.b64encode(encoded(layer)).decode()
    assert from_address(address, np.zeros((2, 2, 3), np.uint8)).tolist() == [[False, False], [True, True]]


def test_proposals_are_the_threshold_s_and_the_teacher_s(loaded):
    image = photograph("blue_stain", 0, 96, 64)
    small = loaded.assessors["student"].predictor.preprocess(image)
    threshold = propose("threshold", image, loaded)
    assert threshold.shape == (96, 64)
    assert threshold.dtype == bool
    np.testing.assert_array_equal(threshold[1::3, 1::2], threshold_mask(small) > 0)  # enlarged 3 and 2 times
    found = loaded.teacher.segmenter(small[None])[0]
    assert propose("teacher", image, loaded).mean() == pytest.approx(found.mean(), abs=0.05)
    assert not propose("empty", image, loaded).any()
    with pytest.raises(ValueError, match="expected threshold, teacher or empty"):
        propose("magic", image, loaded)


def test_reasons_for_not_keeping_are_words(tmp_path, loaded):
    from defectdistill.app.collection import Collection

    (tmp_path / "a.png").write_bytes(encoded(photograph("red_stain", 0)))
    upload, collection = Upload("a.png", tmp_path / "a.png"), Collection(tmp_path / "collected", loaded.classes)
    empty, marked = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
    marked[BOX] = True
    said = [
        keep(upload, choice, other, collection, limits, mask)
        for choice, other, limits, mask in (
            ("", "", Limits(), None),
            ("other", "masks", Limits(), None),
            ("class:red_stain", "", Limits(), empty),
            ("class:red_stain", "", Limits(pixels=9), None),
        )
    ]
    assert [words[:9] for words in said] == ["Not kept:"] * 4
    assert not collection.folder.exists()
    (tmp_path / "collected").write_text("in the way")
    said = keep(upload, "class:red_stain", "", collection, Limits(), marked)
    assert "cannot be written (File exists); nothing was changed." in said
