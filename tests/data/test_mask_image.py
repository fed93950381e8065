import io

import cv2
import numpy as np
import pytest
from PIL import Image

from defectdistill.data.images import BadImage
from defectdistill.data.mask_image import MaskImage, decode_mask, seems_mask, small, why_photograph


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def test_ids_keep_their_values():
    ids = np.array([[0, 1], [2, 7]], np.uint8)
    assert (decode_mask(encoded(ids)).values == ids).all()


def test_sixteen_bit_ids_keep_their_values_and_full_range_is_scaled():
    assert decode_mask(encoded(np.array([[0, 3, 200]], np.uint16))).values.tolist() == [[0, 3, 200]]
    assert decode_mask(encoded(np.array([[0, 65535]], np.uint16))).values.tolist() == [[0, 255]]


def test_bilevel_becomes_0_and_255():
    assert decode_mask(encoded(Image.fromarray(np.array([[False, True]])))).values.tolist() == [[0, 255]]


def test_grey_saved_as_rgb_is_grey():
    assert decode_mask(encoded(np.full((2, 3, 3), 255, np.uint8))).values.tolist() == [[255] * 3] * 2


def test_palette_keeps_indices_and_colours():
    image = Image.fromarray(np.array([[0, 2]], np.uint8), "L").convert("P")
    image.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    mask = decode_mask(encoded(image))
    assert mask.values.tolist() == [[0, 2]]
    assert mask.colours().tolist() == [[[0, 0, 0], [200, 0, 0]]]
    assert mask.brightness().tolist() == [[0, 200]]
    assert mask.is_coloured()


def test_transparent_is_background():
    drawing = np.array([[[255, 0, 0, 255], [255, 255, 255, 0]]], np.uint8)
    assert decode_mask(encoded(drawing)).values.tolist() == [[[255, 0, 0], [0, 0, 0]]]


def test_an_unreadable_mask_says_why():
    with pytest.raises(BadImage, match="truncated"):
        decode_mask(encoded(np.zeros((9, 9), np.uint8))[:-30])


def test_a_photograph_is_told_from_a_mask():
    rng = np.random.default_rng(0)
    photograph = small(rng.integers(0, 255, (50, 50, 3), dtype=np.uint8))

    def why(values, of=photograph, colours=9, seems=False):
        return why_photograph(MaskImage(values), of, colours, seems)

    noise = rng.normal(120, 30, (50, 50)).clip(0, 255).astype(np.uint8)
    assert "looks like a photograph" in why(noise)
    smooth_edges = np.zeros((50, 50), np.uint8)
    smooth_edges[10:20] = rng.integers(0, 256, (10, 50))
    assert why(smooth_edges) is None
    assert why(np.arange(60, dtype=np.uint8).reshape(6, 10)) is None
    # With two colours it is the other that is the mask.
    assert "2 colours" in why(smooth_edges, colours=2)
    assert "looks like a mask" in why(smooth_edges, seems=True)
    # Before an even ground, as products are shown: one picture in two formats.
    same = np.repeat(smooth_edges[:, :, None], 3, axis=2)
    assert "one picture in two formats" in why(smooth_edges ^ 1, of=small(same))
    # The mask of a bright mark on black goes with it, but is not the same.
    bright = np.where(smooth_edges[:, :, None] > 0, rng.integers(60, 255, (50, 50, 3)), 8).astype(np.uint8)
    assert why(smooth_edges, of=small(bright)) is None


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (lambda mark, rng: mark, True),
        (lambda mark, rng: cv2.GaussianBlur(mark, (3, 3), 0), True),
        (lambda mark, rng: cv2.imdecode(cv2.imencode(".jpg", mark)[1], 0), True),
        (lambda mark, rng: 255 - mark, True),
        (lambda mark, rng: np.zeros_like(mark), False),
        (lambda mark, rng: np.full_like(mark, 200), False),
        (lambda mark, rng: mark // 4, False),  # too dark to be one
        (lambda mark, rng: np.where(mark > 0, rng.integers(0, 256, mark.shape), 0).astype(np.uint8), False),
        (lambda mark, rng: rng.integers(0, 256, mark.shape, dtype=np.uint8), False),
        (lambda mark, rng: np.stack([mark, mark // 2, mark // 2], axis=2), False),  # in colour
    ],
)
def test_what_looks_like_a_mask(picture, expected):
    mark = np.zeros((700, 900), np.uint8)
    mark[100:300, 200:500] = 255
    image = picture(mark, np.random.default_rng(0))
    assert seems_mask(image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)) is expected
