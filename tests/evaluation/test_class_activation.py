"""Activation maps on a network whose answer is known, and on real ones; pointing scores on hand-made maps."""

import numpy as np
import pytest
import torch
from evaluation_cases import NAMES, make_pixels
from matplotlib.image import imread
from torch import nn

from defectdistill.evaluation.activation_sheet import activation_sheet, heat
from defectdistill.evaluation.class_activation import (
    activation_maps,
    enlarged,
    local_grad_cam,
    pointing,
    resampled_pointing,
)
from defectdistill.models.normalise import normalise
from defectdistill.models.students import Student, build_student
from defectdistill.models.taps import Tap
from defectdistill.predict import Predictor


class Pooled(nn.Module):
    """The three colours are the features; global pooling; one linear layer."""

    def __init__(self, weights):
        super().__init__()
        self.features, self.head = nn.Identity(), nn.Linear(3, len(weights), bias=False)
        self.head.weight.data = torch.tensor(weights)

    def forward(self, x):
        return self.head(self.features(x).mean(dim=(2, 3)))


@pytest.mark.parametrize("cells", [1, 2])
def test_with_global_pooling_it_is_the_class_activation_map(cells):
    weights = [[1.0, 0.0, 0.0], [0.0, 2.0, -1.0]]
    student = Student(Pooled(weights)).eval()
    batch = torch.randn(4, 3, 6, 5)
    classes = torch.tensor([0, 1, 1, 0])
    maps = local_grad_cam(student, Tap("features", 3, 1), cells, batch.requires_grad_(), classes)
    expected = torch.einsum("nc,nchw->nhw", torch.tensor(weights)[classes], batch).relu() / 30
    torch.testing.assert_close(maps, expected.detach())
    assert not maps.requires_grad
    assert student.network.head.weight.grad is None


class LeftHalf(nn.Module):
    """What is bright in the left half speaks for class 0 and against class 1; the right half says nothing."""

    def __init__(self):
        super().__init__()
        self.features, self.head = nn.Identity(), nn.Linear(1, 1)  # every network has parameters

    def forward(self, x):
        left = self.features(x)[:, :1, :, : x.shape[3] // 2].mean(dim=(1, 2, 3))
        return torch.stack([left, -left], dim=1)


def test_weights_hold_where_they_come_from():
    batch, classes = torch.ones(2, 3, 8, 8, requires_grad=True), torch.tensor([0, 1])
    maps = local_grad_cam(Student(LeftHalf()).eval(), Tap("features", 3, 1), 4, batch, classes)
    row = torch.tensor([1, 1, 1, 0.75, 0.25, 0, 0, 0]) / 32
    torch.testing.assert_close(maps[0], row.expand(8, 8))
    assert not maps[1].any()  # all that there is speaks against it


@pytest.mark.parametrize("arch", ["resnet18", "shufflenet_v2", "mobilenet_v3", "densenet121", "convnext_tiny"])
def test_maps_of_real_students_do_not_depend_on_the_batch(arch):
    torch.manual_seed(0)
    student = build_student(arch, 3)
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    classes = np.array([0, 1, 2, 0, 1])
    whole, parts = (activation_maps(Predictor(student, NAMES, 64, "squash", size), images, classes) for size in (64, 2))
    assert whole.shape == (5, 16, 16)
    assert (whole >= 0).all()
    assert whole.any()
    np.testing.assert_allclose(whole, parts, rtol=1e-3, atol=1e-3 * whole.max())
    assert not any(module._forward_hooks for module in student.modules())


@pytest.mark.parametrize(("size", "cells"), [(32, 16), (64, 16), (96, 12), (128, 16), (224, 14), (512, 16)])
def test_the_level_is_the_deepest_that_has_twelve_cells_a_side(size, cells):
    predictor = Predictor(build_student("resnet18", 3), NAMES, size, "squash")
    maps = activation_maps(predictor, np.zeros((1, size, size, 3), np.uint8), np.array([0]))
    assert maps.shape == (1, cells, cells)


def test_where_no_level_has_as_many_cells_it_is_the_finest():
    predictor = Predictor(build_student("resnet18", 3), NAMES, 16, "squash")
    maps = activation_maps(predictor, np.zeros((1, 16, 16, 3), np.uint8), np.array([0]))
    assert maps.shape == (1, 8, 8)


def test_the_map_of_resnet_comes_from_the_gradient_of_that_level():
    torch.manual_seed(0)
    student = build_student("resnet18", 3).eval()
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    found = activation_maps(Predictor(student, NAMES, 96, "squash"), images, np.array([2, 0]))
    network = student.network
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool, network.layer1, network.layer2)
    features = stem(normalise(torch.tensor(images))).detach().requires_grad_()  # (2, 128, 12, 12)
    logits = network.fc(network.layer4(network.layer3(features)).mean(dim=(2, 3)))
    (logits[0, 2] + logits[1, 0]).backward()
    means = features.grad.unflatten(3, (3, 4)).unflatten(2, (3, 4)).mean(dim=(3, 5))  # of each of 3 × 3 cells
    weights = nn.Upsample(scale_factor=4, mode="bilinear")(means)
    expected = (weights * features).sum(dim=1).relu().detach()
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-6)


def test_a_network_without_feature_levels_has_no_map():
    predictor = Predictor(build_student("alexnet", 3), NAMES, 64, "squash")
    assert activation_maps(predictor, np.zeros((1, 64, 64, 3), np.uint8), np.array([0])) is None


def test_no_image_has_an_empty_array_of_maps():
    predictor = Predictor(build_student("shufflenet_v2_x0_5", 3), NAMES, 64, "squash")
    maps = activation_maps(predictor, np.zeros((0, 64, 64, 3), np.uint8), np.array([], dtype=int))
    assert len(maps) == 0


def test_pointing_by_hand():
    maps = np.zeros((4, 4, 4), np.float32)
    masks = np.zeros((4, 4, 4), np.uint8)
    masks[:, :2, :2] = 3  # a quarter, of any label
    maps[0, 0, 0], maps[0, 3, 3] = 3.0, 1.0
    maps[1, 0, 1], maps[1, 2, 2] = 1.0, 3.0
    maps[2] = 1.0  # even: the first of the highest points is inside
    found = pointing(maps, masks)
    assert found["energy_inside"].tolist() == pytest.approx([0.75, 0.25, 0.25, 0.0])
    assert found["hit_rate"].tolist() == [1.0, 0.0, 1.0, 0.0]  # a map of zeros points nowhere
    assert found["mask_area"].tolist() == [0.25] * 4


def test_batches_of_maps_do_not_show():
    generator = np.random.default_rng(0)
    maps, masks = generator.random((7, 3, 3), dtype=np.float32), generator.random((7, 12, 12)) > 0.7
    for name, values in pointing(maps, masks).items():
        np.testing.assert_allclose(pointing(maps, masks, batch_size=2)[name], values)


def test_enlarging_keeps_the_place_and_an_even_map_even():
    maps = np.zeros((2, 2, 2), np.float32)
    maps[0, 0, 1], maps[1] = 1.0, 0.5
    wide = enlarged(maps, 16)
    assert wide.shape == (2, 16, 16)
    assert wide[0, :4, 12:].min() == 1.0
    assert wide[0, 12:, :4].max() == 0.0
    assert (wide[1] == 0.5).all()


def test_resamples_count_the_masked_images_alone():
    pointed = {"energy_inside": np.array([0.2, 0.6])}
    weights = np.array([[9.0, 1, 1], [9, 3, 1], [9, 0, 0]])
    means = resampled_pointing(pointed, np.array([1, 2]), weights)["energy_inside"]
    assert means[:2].tolist() == pytest.approx([0.4, 0.3])
    assert np.isnan(means[2])


def test_heat_is_lightest_where_the_map_is_highest():
    maps = np.zeros((1, 2, 2), np.float32)
    maps[0, 1, 1] = 1e-9  # scaled by its highest value, however small
    heated = heat(np.full((1, 16, 16, 3), 128, np.uint8), maps)
    assert heated.shape == (1, 16, 16, 3)
    assert heated[0, -1, -1].sum() > heated[0, 0, 0].sum() + 200
    assert (heat(np.full((1, 4, 4, 3), 128, np.uint8), np.zeros((1, 2, 2), np.float32)) < 100).all()


def test_sheet_shows_a_line_a_photograph(tmp_path):
    pixels = make_pixels(np.random.default_rng(0), 17)
    labels = np.arange(17) % 3
    path = activation_sheet(pixels, labels, NAMES, tmp_path / "sheet.png", synthetic=False)
    height, width = imread(path).shape[:2]
    assert height > 8 * 160
    assert 3 * 160 < width < 900
    other = activation_sheet(pixels, labels, NAMES, tmp_path / "said.png", synthetic=True)
    assert other.read_bytes() != path.read_bytes()


def test_no_sheet_without_a_mask(tmp_path):
    pixels = make_pixels(np.random.default_rng(0), 4)
    pixels.masks[:] = 0
    assert activation_sheet(pixels, np.zeros(4, int), NAMES, tmp_path / "sheet.png", synthetic=False) is None
    assert not list(tmp_path.iterdir())
