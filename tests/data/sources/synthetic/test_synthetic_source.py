"""What the embedded data set promises to the stages that read it: names, labels, masks, seeds, bytes."""

import hashlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.sources.synthetic.source import MASK_COLOURS, samples
from defectdistill.data.sources.synthetic.traits import CAUSES


def few(seed=0, image_size=64, short_circuit=2, fire_induced_short_circuit=2, flame=2, unlabelled=2):
    counts = (short_circuit, fire_induced_short_circuit, flame, unlabelled)
    return {sample.name: sample for sample in samples(Path("unread"), seed, image_size, *counts)}


def pixels(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]


def digest(drawn):
    total = hashlib.sha256()
    for sample in drawn.values():
        total.update(sample.name.encode() + sample.image + (sample.mask or b""))
    return total.hexdigest()


def test_names_labels_and_counts():
    drawn = few(short_circuit=1, fire_induced_short_circuit=2, flame=3, unlabelled=1)
    labels = [sample.label for sample in drawn.values()]
    assert labels == ["short_circuit"] + ["fire_induced_short_circuit"] * 2 + ["flame"] * 3 + [None]
    assert {"short_circuit/short_circuit_000.png", "flame/flame_002.png", "unlabelled/000.png"} <= drawn.keys()


def test_no_object_is_shown_twice():
    drawn = few()
    assert all(sample.group is None for sample in drawn.values())
    assert len({sample.image for sample in drawn.values()}) == len(drawn)


def test_unlabelled_images_tell_no_class():
    for sample in (sample for name, sample in few(unlabelled=4).items() if name.startswith("unlabelled")):
        assert sample.label is None
        assert sample.mask is None
        assert not any(cause in sample.name for cause in CAUSES)


@pytest.mark.parametrize("image_size", [64, 97])
def test_images_and_masks_have_the_size_asked_for(image_size):
    for sample in few(image_size=image_size).values():
        assert pixels(sample.image).shape == (image_size, image_size, 3)
        assert sample.mask is None or pixels(sample.mask).shape == (image_size, image_size, 3)


def test_masks_hold_black_and_the_colour_of_the_class_alone():
    for sample in (sample for sample in few().values() if sample.label):
        colours = {tuple(colour) for colour in pixels(sample.mask).reshape(-1, 3).tolist()}
        assert colours == {(0, 0, 0), MASK_COLOURS[sample.label]}


def test_a_count_changes_no_other_image():
    fewer, more = few(), few(short_circuit=3, fire_induced_short_circuit=1, unlabelled=3)
    common = fewer.keys() & more.keys()
    assert len(common) == 7
    assert all(fewer[name] == more[name] for name in common)


def test_another_seed_changes_every_image():
    first, second = few(seed=0), few(seed=1)
    assert all(first[name].image != second[name].image for name in first)


def test_two_processes_draw_the_same_bytes():
    code = "import test_synthetic_source as t; print(t.digest(t.few()))"
    run = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert run.stdout.strip() == digest(few()), run.stderr


def test_a_size_that_shows_nothing_is_refused():
    with pytest.raises(DataError, match=r"image_size = 32.*set 64 or more"):
        few(image_size=32)


def test_unlabelled_images_stand_in_other_light():
    drawn = few(short_circuit=8, fire_induced_short_circuit=8, flame=8, unlabelled=24)
    brightness = {True: [], False: []}
    for sample in drawn.values():
        brightness[sample.label is None].append(pixels(sample.image).mean())
    assert np.mean(brightness[True]) < np.mean(brightness[False]) - 5
