from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from defectdistill.data.sources.tiles.source import CLASSES, samples

COUNTS = {"cracks": 2, "good": 9, "patches": 4, "pits": 3, "scratches": 5}


def tiles(**settings):
    found = list(samples(Path(), **{"seed": 0, "test_per_class": 3, **COUNTS} | settings))
    return {sample.name: sample for sample in found}


def pixels(encoded):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)


def test_counts_are_unequal_to_learn_from_and_equal_to_test():
    found = Counter((sample.split, sample.label) for sample in tiles().values())
    expected = {("train", label): count for label, count in COUNTS.items()} | {("test", label): 3 for label in CLASSES}
    assert found == expected


def test_a_seed_gives_the_same_bytes_and_a_count_changes_no_other_tile():
    first, again, more = tiles(), tiles(), tiles(good=12)
    assert {n: (s.image, s.mask) for n, s in first.items()} == {n: (s.image, s.mask) for n, s in again.items()}
    assert all(more[name].image == sample.image for name, sample in first.items())
    assert all(sample.image != first[name].image for name, sample in tiles(seed=1).items())
    assert len({sample.image for sample in first.values()}) == len(first)


def test_masks_mark_defects_and_nothing_on_good_steel():
    for sample in tiles(cracks=9, pits=9).values():
        image, mask = pixels(sample.image), pixels(sample.mask)
        assert image.shape == mask.shape == (64, 64)
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any() == (sample.label != "good"), sample.name
        assert (mask > 0).mean() < 0.5


def test_brightness_tells_nothing_of_the_class():
    found = tiles(**dict.fromkeys(COUNTS, 40))
    means = {
        label: np.array([pixels(s.image).mean() for s in found.values() if (s.label, s.split) == (label, "train")])
        for label in CLASSES
    }
    spread = np.std([values.mean() for values in means.values()])
    expected = np.mean([values.std() for values in means.values()]) / np.sqrt(40)
    assert spread < 2 * expected
