import cv2
import numpy as np
import pytest

from defectdistill.evaluation.contact_sheet import COLOURS, contact_sheet, outline

COPPER, STEEL = (184, 115, 51), (130, 133, 138)


def tiles(count, colour=STEEL, size=32):
    return np.full((count, size, size, 3), colour, np.uint8)


def masks(count, label=1, size=32):
    result = np.zeros((count, size, size), np.uint8)
    result[:, 10:20, 10:20] = label
    return result


def read(path):
    return cv2.imread(str(path))[:, :, ::-1]


def test_a_sheet_shows_every_tile_and_wraps(tmp_path):
    contact_sheet([("a", tiles(5, (255, 0, 0)), None)], 2, tmp_path / "deep/sheet.png", "Title", tile=40)
    red = (read(tmp_path / "deep/sheet.png") == (255, 0, 0)).all(axis=2)
    assert red.sum() == 5 * 40 * 40
    assert red.any(axis=1).sum() == 3 * 40  # three lines of two columns
    assert red.any(axis=0).sum() == 2 * 40


def test_same_input_gives_the_same_bytes(tmp_path):
    for name in ("one.png", "two.png"):
        contact_sheet([("a µ é", tiles(2), masks(2))], 4, tmp_path / name, "T", headings=["x"], legend=["a", "b"])
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_inputs_are_left_alone(tmp_path):
    images, drawn = tiles(2), masks(2)
    contact_sheet([("a", images, drawn)], 2, tmp_path / "sheet.png", "T", tile=32)
    assert np.array_equal(images, tiles(2))
    assert np.array_equal(drawn, masks(2))


def test_arrays_mapped_for_reading_work(tmp_path):
    np.save(tmp_path / "images.npy", tiles(3))
    contact_sheet([("a", np.load(tmp_path / "images.npy", mmap_mode="r"), masks(3))], 3, tmp_path / "s.png", "T")


def test_the_outline_leaves_the_defect_uncovered():
    image, mask = tiles(1)[0], masks(1)[0]
    drawn = outline(image, mask)
    assert (drawn[mask > 0] == STEEL).all()
    assert (drawn == COLOURS[0]).all(axis=2).sum() > 30


def test_each_label_has_its_colour():
    mask = np.zeros((64, 64), np.uint8)
    mask[5:15, 5:15], mask[40:50, 40:50] = 1, 2
    drawn = outline(tiles(1, size=64)[0], mask)
    assert (drawn[:30, :30] == COLOURS[0]).all(axis=2).any()
    assert (drawn[30:, 30:] == COLOURS[1]).all(axis=2).any()
    assert not (drawn[:30, :30] == COLOURS[1]).all(axis=2).any()


def luminance(colour):
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_stand_out_from_their_rim_and_from_dark_surfaces(colour):
    # Contrast after WCAG; 3 is its minimum for lines.
    assert (luminance(colour) + 0.05) / (luminance((20, 20, 20)) + 0.05) > 5
    assert (luminance(colour) + 0.05) / (luminance((60, 45, 35)) + 0.05) > 3


def test_colours_stay_apart_for_the_colour_blind():
    # Deuteranopia after Viénot, Brettel and Mollon 1999, in linear RGB.
    blind = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    seen = ((np.array(COLOURS) / 255) ** 2.2 @ blind.T).clip(0, 1) ** (1 / 2.2)
    lab = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    gaps = np.linalg.norm(lab[:, None] - lab[None], axis=2) + 1000 * np.eye(len(lab))
    assert gaps.min() > 10


def test_nothing_to_show_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="shows nothing"):
        contact_sheet([("a", tiles(0), None)], 3, tmp_path / "sheet.png", "T")
