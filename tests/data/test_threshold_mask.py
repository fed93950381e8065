import cv2
import numpy as np

from defectdistill.data.threshold_mask import threshold_mask


def plate():
    return np.full((96, 96, 3), 160, np.uint8)


def test_even_surface_is_background():
    assert not threshold_mask(plate()).any()


def test_a_dark_mark_is_foreground_and_a_bright_one_is_not():
    image = plate()
    cv2.rectangle(image, (20, 20), (26, 80), (60, 60, 60), -1)  # 7×61 px, as narrow as the block sees
    cv2.rectangle(image, (60, 20), (66, 80), (250, 250, 250), -1)
    mask = threshold_mask(image)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    assert mask[20:81, 20:27].mean() > 0.9
    assert not mask[20:81, 60:67].any()


def test_contours_up_to_100_px_are_dropped():
    image = plate()
    cv2.rectangle(image, (10, 10), (19, 19), (60, 60, 60), -1)  # contour area (10 − 1)² = 81
    cv2.rectangle(image, (50, 50), (61, 61), (60, 60, 60), -1)  # contour area (12 − 1)² = 121
    mask = threshold_mask(image)
    assert not mask[:30, :30].any()
    assert mask[45:70, 45:70].any()


def test_lines_thinner_than_the_opening_vanish():
    image = plate()
    image[40:42, 10:90] = 60
    assert not threshold_mask(image)[30:50, 20:80].any()


def test_agrees_with_the_formula_in_numpy_before_the_small_contours_are_dropped():
    rng = np.random.default_rng(1)
    image = plate()
    image[20:60, 30:42] = 40
    image = (image + rng.integers(0, 3, (96, 96, 1))).astype(np.uint8)
    grey = image[:, :, 0].astype(np.float64)
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets**2) / (2 * (0.3 * ((11 - 1) * 0.5 - 1) + 0.8) ** 2))
    weights /= weights.sum()
    padded = np.pad(grey, 5, mode="edge")
    blurred = np.apply_along_axis(np.convolve, 1, padded, weights, mode="valid")
    blurred = np.apply_along_axis(np.convolve, 0, blurred, weights, mode="valid")
    dark = grey <= np.rint(blurred) - 2
    opened = np.zeros_like(dark)
    for row in range(1, 95):
        for column in range(1, 95):
            if dark[row - 1 : row + 2, column - 1 : column + 2].all():
                opened[row - 1 : row + 2, column - 1 : column + 2] = True
    mask = threshold_mask(image)[2:-2, 2:-2].astype(bool)
    # Nothing but the large mark is left of it, the mark as the formula gives it.
    assert mask[15:65, 25:45].sum() > 300
    assert (mask & ~opened[2:-2, 2:-2]).sum() == 0
    assert (opened[2:-2, 2:-2][13:68, 23:48] & ~mask[13:68, 23:48]).sum() == 0
