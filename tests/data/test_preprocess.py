import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectdistill.data.preprocess import PAD_COLOUR, content_box, resize, resize_mask, square


def test_squash_averages_areas():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, ::2] = 200
    assert (resize(image, 4, "squash") == 100).all()


def test_growing_interpolates_linearly():
    image = np.array([[0, 100]], np.uint8)[:, :, None].repeat(3, axis=2).repeat(2, axis=0)
    assert resize(image, 4, "squash")[0, :, 0].tolist() == [0, 25, 75, 100]


def test_one_axis_shrinks_by_area_while_the_other_grows():
    image = np.zeros((1, 8, 3), np.uint8)
    image[:, ::2] = 200
    assert (resize(image, 4, "squash") == 100).all()


def test_pad_keeps_the_aspect_ratio_and_centres():
    image = np.full((50, 100, 3), 255, np.uint8)
    padded = resize(image, 20, "pad")
    assert content_box(50, 100, 20, "pad") == (slice(5, 15), slice(0, 20))
    assert (padded[5:15] == 255).all()
    assert (padded[[0, 4, 15, 19]] == PAD_COLOUR).all()


def test_pad_colour_is_nearly_zero_after_normalisation():
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    assert np.abs((np.array(PAD_COLOUR) / 255 - mean) / deviation).max() < 0.01


def test_a_sliver_keeps_one_pixel():
    assert resize(np.zeros((1, 5000, 3), np.uint8), 32, "pad").shape == (32, 32, 3)


@pytest.mark.parametrize("mode", ["squash", "pad"])
def test_a_photograph_becomes_a_square_once(mode):
    image = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    small = square(image, 16, mode)
    assert np.array_equal(small, resize(image, 16, mode))
    assert np.array_equal(square(small, 16, mode), small)
    for wrong in (image[..., 0], image.astype(np.float32), image[..., :2]):
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
            square(wrong, 16, mode)


@pytest.mark.parametrize("function", [resize, resize_mask])
def test_an_unknown_mode_lists_the_known_ones(function):
    with pytest.raises(ValueError, match="'crop' is unknown; use one of squash, pad"):
        function(np.zeros((4, 4, 3) if function is resize else (4, 4), np.uint8), 4, "crop")


@pytest.mark.parametrize("slope", [0, 0.3, 1])
def test_thin_cracks_stay_whole(slope):
    import cv2

    mask = np.zeros((400, 400), np.uint8)
    cv2.line(mask, (20, 50), (380, int(50 + 300 * slope)), 3, thickness=2)
    small = resize_mask(mask, 64, "squash")
    assert set(np.unique(small)) == {0, 3}
    assert cv2.connectedComponents(small)[0] == 2


def test_a_single_pixel_does_not_vanish():
    mask = np.zeros((1000, 1000), np.uint8)
    mask[500, 300] = 2
    small = resize_mask(mask, 32, "squash")
    assert small[16, 9] == 2
    assert np.count_nonzero(small) == 1


def test_small_marks_side_by_side_all_stay():
    mask = np.zeros((640, 640), np.uint8)
    mask[0, :3] = 1, 2, 3
    mask[639, 639] = 4
    small = resize_mask(mask, 32, "squash")
    assert sorted(small[small > 0]) == [1, 2, 3, 4]
    assert small[31, 31] == 4
    assert set(zip(*np.nonzero(small[:16]), strict=True)) == {(0, 0), (0, 1), (1, 0)}


def test_large_areas_keep_their_extent():
    mask = np.zeros((200, 200), np.uint8)
    mask[50:150, 50:150] = 1
    assert resize_mask(mask, 100, "squash")[25:75, 25:75].all()
    assert resize_mask(mask, 100, "squash").sum() == 2500
    assert resize_mask(mask, 400, "squash").sum() == pytest.approx(40000, rel=0.02)


def test_the_label_that_covers_most_wins():
    mask = np.array([[1, 1, 2, 2], [1, 2, 2, 0]], np.uint8)
    assert resize_mask(mask.repeat(2, axis=0), 2, "squash").tolist() == [[1, 2], [1, 2]]


def test_mask_lies_where_the_image_lies():
    image, mask = np.zeros((60, 100, 3), np.uint8), np.zeros((60, 100), np.uint8)
    image[24:48, 30:60], mask[24:48, 30:60] = 255, 1
    for mode in ("squash", "pad"):
        shown = (resize(image, 50, mode) == 255).all(axis=2)
        assert np.array_equal(resize_mask(mask, 50, mode).astype(bool), shown)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.sampled_from(["squash", "pad"]), st.integers(0, 9)
)
def test_any_size_works_and_no_label_is_invented_or_lost(height, width, size, mode, seed):
    mask = np.random.default_rng(seed).choice([0, 0, 0, 0, 3], (height, width)).astype(np.uint8)
    result = resize_mask(mask, size, mode)
    assert (result.shape, result.dtype) == ((size, size), np.uint8)
    assert set(np.unique(result)) - {0} == set(np.unique(mask)) - {0}
    assert resize(np.zeros((height, width, 3), np.uint8), size, mode).shape == (size, size, 3)
