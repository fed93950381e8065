import numpy as np
import torch

from defectdistill.models.class_map import class_evidence, class_maps, defect_logits, mask_map, with_background


def some_logits(channels=2, side=6):
    return torch.from_numpy(np.random.default_rng(0).normal(0, 3, (2, channels, side, side))).float()


def test_probabilities_are_a_softmax_against_a_background_of_zero():
    logits = some_logits()
    exponentials = np.exp(logits.numpy())
    expected = exponentials / (1 + exponentials.sum(1, keepdims=True))
    np.testing.assert_allclose(class_maps(logits, [1])[1][:, 1:].numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(torch.sigmoid(defect_logits(logits)).numpy(), expected.sum(1), rtol=1e-5)


def test_one_channel_is_a_sigmoid():
    logits = some_logits(1)
    assert torch.allclose(class_maps(logits, [1])[1][:, 1], logits[:, 0].sigmoid(), atol=1e-6)
    assert torch.allclose(defect_logits(logits), logits[:, 0])


def test_maps_are_means_over_squares_cut_off_at_the_edge():
    logits = some_logits(side=6)
    full, small = class_maps(logits, [1])[1].numpy(), class_maps(logits, [4])[4].numpy()
    assert small.shape == (2, 3, 2, 2)
    np.testing.assert_allclose(small[:, :, 0, 0], full[:, :, :4, :4].mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(small[:, :, 1, 1], full[:, :, 4:, 4:].mean((2, 3)), rtol=1e-5)
    np.testing.assert_allclose(small.sum(1), 1, rtol=1e-5)


def test_true_maps_are_shares_of_the_area():
    masks = torch.tensor([[[0, 0, 2, 2], [0, 1, 2, 2], [0, 0, 0, 0], [0, 0, 0, 0]]], dtype=torch.uint8)
    maps = mask_map(masks, classes=2, stride=2)
    assert maps[0, :, 0].tolist() == [[0.75, 0.0], [0.25, 0.0], [0.0, 1.0]]
    assert maps[0, :, 1].tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_evidence_is_a_smooth_maximum():
    logits = some_logits()
    expected = np.log(np.exp(logits.double().numpy()).mean((2, 3)))
    np.testing.assert_allclose(class_evidence(logits).numpy(), expected, rtol=1e-5)
    small = torch.full((1, 2, 32, 32), -5.0)
    small[0, 1, :3, :3] = 9.0  # a certain mark on 1 % of the area
    assert class_evidence(small)[0].argmax() == 1
    assert class_evidence(small).softmax(1)[0, 1] > 0.99


def test_the_background_comes_first():
    assert with_background(some_logits())[:, 0].abs().sum() == 0


def test_a_class_without_defects_that_is_seen_everywhere_is_no_defect():
    logits = some_logits(channels=3)
    probs = class_maps(logits, [1])[1]
    found = torch.sigmoid(defect_logits(logits, normal=[1]))
    torch.testing.assert_close(found, probs[:, 1] + probs[:, 3], rtol=1e-5, atol=1e-6)
    logits[:, 1] = 50.0
    assert (defect_logits(logits, normal=[1]) < 0).all()
    assert (defect_logits(logits) > 0).all()
