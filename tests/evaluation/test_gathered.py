"""What is asked of the models: every split once, with the rows of its index."""

import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.data.tables import write_table
from defectdistill.evaluation.class_activation import activation_maps
from defectdistill.evaluation.gathered import gather, load_teacher
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config
from defectdistill.predict import Predictor

SIDE = 64


def write_split(folder, rows):
    """Write a split; a row is (name, label, group, mask_source), without labels (name, group)."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(rows))
    np.save(folder / "images.npy", generator.integers(0, 256, (len(rows), SIDE, SIDE, 3), dtype=np.uint8))
    np.save(folder / "masks.npy", generator.integers(0, 3, (len(rows), SIDE, SIDE), dtype=np.uint8))
    columns = ("name", "label", "group", "mask_source") if len(rows[0]) == 4 else ("name", "group")
    write_table(folder / "index.csv", columns, rows)


@pytest.fixture(scope="module")
def gathered(tmp_path_factory):
    prepared = tmp_path_factory.mktemp("prepared")
    write_split(prepared / "val", [("v0", 1, "g", "given"), ("v1", 0, "g", "none"), ("v2", 1, "h", "given")])
    write_split(prepared / "test", [("t0", 0, "a", "none"), ("t1", 1, "b", "threshold")])
    write_split(prepared / "unlabelled", [("u0", "x")])
    torch.manual_seed(0)
    models = {
        name: Predictor(build_student("shufflenet_v2_x0_5", 2), ["a", "b"], SIDE, "squash")
        for name in ("student", "baseline")
    }
    return prepared, models, gather(prepared, models, Segmenter(build_unet3plus("plain", 2, 2), ["a", "b"]))


def test_splits_carry_probabilities_names_groups_and_labels(gathered):
    prepared, models, sets = gathered
    assert set(sets) == {"validation", "test", "unlabelled", "pixels"}
    validation = sets["validation"]
    assert (validation.names, validation.groups) == (["v0", "v1", "v2"], ["g", "g", "h"])
    assert validation.labels.tolist() == [1, 0, 1]
    images = np.load(prepared / "val/images.npy")
    np.testing.assert_array_equal(validation.probs["baseline"], models["baseline"](images).probabilities)
    assert (validation.probs["baseline"] != validation.probs["student"]).any()
    assert sets["unlabelled"].labels is None
    assert sets["unlabelled"].groups == ["x"]


def test_a_classifier_may_be_the_teacher(gathered, tmp_path):
    prepared, models, _ = gathered
    pixels = gather(prepared, models, models["baseline"])["pixels"]
    assert pixels.found is None
    np.testing.assert_array_equal(
        pixels.answers, models["baseline"](np.load(prepared / "test/images.npy")).probabilities
    )
    network = models["student"].student
    config = classifier_config("shufflenet_v2_x0_5", ["a", "b"], SIDE, "squash")
    checkpoint.save(tmp_path / "classifier", network.state_dict(), config)
    assert isinstance(load_teacher(tmp_path / "classifier", 4), Predictor)
    network = build_unet3plus("plain", 2, 2)
    config = unet3plus_config("plain", 2, ["a", "b"], SIDE, "squash")
    checkpoint.save(tmp_path / "unet", network.state_dict(), config)
    assert isinstance(load_teacher(tmp_path / "unet", 4), Segmenter)


def test_pixels_are_of_the_test_split_and_its_true_classes(gathered):
    prepared, models, sets = gathered
    pixels = sets["pixels"]
    assert pixels.masked.tolist() == [False, True]
    assert pixels.found.shape == (2, SIDE, SIDE)
    teacher = Segmenter(build_unet3plus("plain", 2, 2), ["a", "b"])
    assert pixels.answers.shape == (2, 2)
    np.testing.assert_allclose(pixels.answers.sum(axis=1), 1, rtol=1e-5)
    teacher.channels = ["defect"]
    assert gather(prepared, models, teacher)["pixels"].answers is None
    expected = activation_maps(models["student"], np.load(prepared / "test/images.npy"), np.array([0, 1]))
    np.testing.assert_array_equal(pixels.maps["student"], expected)
