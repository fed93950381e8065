"""Which photographs the leak check takes for learned from; what it finds is tested with the near copies."""

import cv2
import numpy as np
import pytest

from defectdistill.data.ingest import write_raw
from defectdistill.data.prepare import prepare
from defectdistill.data.sample import Sample
from defectdistill.distill_sections import ASKED
from defectdistill.evaluation.leak_check import WITHOUT_TEACHER, find_leaks, taught_unlabelled
from defectdistill.training.distillation import METHODS


@pytest.mark.parametrize(
    ("method", "hint_epochs", "teaches"),
    [("combined", 0, True), ("hint", 0, True), ("none", 0, False), ("masks", 0, False), ("none", 2, True)],
)
def test_it_is_known_whether_photographs_without_a_label_were_learned_from(method, hint_epochs, teaches):
    settings = {"method": method, "hint_epochs": hint_epochs, "unlabelled": True}
    assert taught_unlabelled(settings) == teaches
    assert not taught_unlabelled(settings | {"unlabelled": False})


def test_it_knows_every_method_that_asks_no_teacher():
    assert {"combined", *ASKED} == METHODS.keys() - set(WITHOUT_TEACHER)


@pytest.mark.parametrize("protocol", ["given", "grouped"])
def test_groups_on_several_sides_are_counted_whatever_the_protocol_promises(tmp_path, protocol):
    """Every object was photographed twice, and the split that came with the photographs has one on either side."""
    rng, mask = np.random.default_rng(0), np.zeros((64, 64), np.uint8)
    mask[10:30, 8:26] = 255

    def png(array):
        return cv2.imencode(".png", array)[1].tobytes()

    samples = [
        Sample(
            f"{label}/{side}{number:02d}.png",
            label,
            png(cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (64, 64))),
            png(mask),
            group=f"{label} object {number}",
            split=side,
        )
        for label in ("dent", "scratch")
        for number in range(8)
        for side in ("train", "test")
    ]
    write_raw(iter(samples), tmp_path / "raw", "folder", synthetic=False, max_pixels=10**6)
    settings = {"size": 64, "resize": "squash", "masks": "given", "mask_coding": "auto", "mask_table": None}
    settings |= {"normal_classes": None, "fractions": (0.6, 0.2, 0.2), "seed": 0, "near_duplicates": False}
    data = prepare(tmp_path / "raw", tmp_path / "prepared", **settings, protocol=protocol)
    leaks = find_leaks(tmp_path / "prepared", data["classes"])
    assert leaks["shared_groups"] == (16 if protocol == "given" else 0)
