from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.random import default_rng

from defectdistill.data.ingest import write_raw
from defectdistill.data.prepare import prepare
from defectdistill.data.sources.strips.defects import DEFECTS
from defectdistill.data.sources.strips.source import CLASSES, samples

SETTINGS = {"seed": 0, "images": 16, "image_height": 64, "image_width": 256}


def decoded(sample):
    picture, mask = (np.frombuffer(part, np.uint8) for part in (sample.image, sample.mask))
    return cv2.imdecode(picture, cv2.IMREAD_UNCHANGED), cv2.imdecode(mask, cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def drawn():
    return list(samples(Path(), **SETTINGS))


def test_pictures_are_wide_and_grey_and_their_masks_hold_ids(drawn):
    assert [sample.label for sample in drawn[:5]] == ["cracks", "patches", "pits", "scratches", "cracks"]
    kinds = set()
    for sample in drawn:
        picture, mask = decoded(sample)
        assert (picture.dtype, picture.shape) == (mask.dtype, mask.shape) == (np.uint8, (64, 256))
        found = set(np.unique(mask).tolist())
        assert {0, 1 + CLASSES.index(sample.label)} <= found <= set(range(5))
        kinds.add(len(found))
    assert kinds == {2, 3}  # some show one defect, some two


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_images(drawn):
    fewer = list(samples(Path(), **SETTINGS | {"images": 4}))
    assert [sample.image for sample in fewer] == [sample.image for sample in drawn[:4]]
    other = next(iter(samples(Path(), **SETTINGS | {"seed": 1})))
    assert other.image != drawn[0].image


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_changes_what_it_marks_and_hardly_anything_else(name):
    for seed in range(5):
        inside, change = DEFECTS[name](default_rng(seed), 64, 256)
        assert (inside.shape, change.shape) == ((64, 256), (64, 256))
        assert 0 < inside.mean() < 0.6
        assert np.abs(change[inside]).mean() > 8
        assert np.abs(change[~inside]).mean() < 1


def test_prepare_takes_them_with_every_class_in_every_split(drawn, tmp_path):
    write_raw(drawn, tmp_path / "raw", source="strips", synthetic=True, max_pixels=10**6)
    summary = prepare(tmp_path / "raw", tmp_path / "out", 64, "squash", "given", "labels", None, None,
                      (0.5, 0.25, 0.25), 0, near_duplicates=True)  # fmt: skip
    assert summary["classes"] == CLASSES
    assert summary["counts"]["test"] == dict.fromkeys(CLASSES, 1)
    assert summary["near_duplicates"]["sets"] == 0  # streaks are no copies of one another
    masks = np.load(tmp_path / "out/train/masks.npy")
    assert set(np.unique(masks)) == set(range(5))
