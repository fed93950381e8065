from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from defectdistill.data.sources.shapes.source import CLASSES, samples


def pictures(**settings):
    found = list(samples(Path(), **{"seed": 0, "train_per_class": 3, "test_per_class": 2} | settings))
    return {sample.name: sample for sample in found}


def pixels(sample):
    return cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_COLOR)


def test_counts_splits_and_size():
    found = pictures()
    assert Counter((sample.split, sample.label) for sample in found.values()) == {
        (split, label): count for split, count in (("train", 3), ("test", 2)) for label in CLASSES
    }
    assert len(CLASSES) == 10
    assert {pixels(sample).shape for sample in found.values()} == {(32, 32, 3)}


def test_a_seed_gives_the_same_bytes_and_a_count_changes_no_other_image():
    first, again, more = pictures(), pictures(), pictures(train_per_class=5)
    assert {name: sample.image for name, sample in first.items()} == {n: s.image for n, s in again.items()}
    assert all(more[name].image == sample.image for name, sample in first.items())
    assert all(sample.image != first[name].image for name, sample in pictures(seed=1).items())


def test_train_and_test_show_different_pictures():
    found = list(pictures().values())
    assert len({sample.image for sample in found}) == len(found)


def test_colour_tells_nothing_of_the_class():
    """The classes' mean colours are as far apart as those of random halves of one class: chance."""
    found = pictures(train_per_class=60, test_per_class=1)
    means = {
        label: np.array([pixels(s).mean(axis=(0, 1)) for s in found.values() if (s.label, s.split) == (label, "train")])
        for label in CLASSES
    }
    spread = np.std([values.mean(axis=0) for values in means.values()], axis=0)
    expected = np.mean([values.std(axis=0) for values in means.values()], axis=0) / np.sqrt(60)
    assert (spread < 2 * expected).all()


def test_a_hole_is_a_hole():
    """A ring's centre has the background's colour, a disc's has its own."""
    found = pictures(train_per_class=20)

    def apart(sample):
        image = pixels(sample).astype(float)
        return np.abs(image[14:18, 14:18].mean(axis=(0, 1)) - image[[0, 0, -1, -1], [0, -1, 0, -1]].mean(axis=0)).max()

    discs, rings = (
        np.median([apart(s) for s in found.values() if s.label == label and s.split == "train"])
        for label in ("disc", "ring")
    )
    assert discs > 2 * rings
