"""The teacher's losses by hand, in NumPy."""

import numpy as np
import pytest
import torch

from defectdistill.models.class_map import class_maps
from defectdistill.training.segmentation_loss import LOSSES, SegmentationLoss, pixel_cross_entropy


def batch(masks, labels=None, masked=None):
    masks = torch.tensor(masks, dtype=torch.uint8)
    labels = torch.zeros(len(masks), dtype=torch.int64) if labels is None else torch.tensor(labels)
    return {"mask": masks, "label": labels, "masked": torch.tensor(masked or [1.0] * len(masks))}


@pytest.mark.parametrize("name", ["ce", "ce_dice"])
def test_with_one_channel_it_is_binary_cross_entropy(name):
    """The cable paper's BCEWithLogits; a binary teacher takes every class for a defect."""
    logits = torch.tensor([[[[0.0, 2.0], [-2.0, 0.0]]]])
    target, probs = np.array([[1.0, 1.0], [0.0, 0.0]]), 1 / (1 + np.exp(-logits.numpy()[0, 0]))
    entropy = -(target * np.log(probs) + (1 - target) * np.log(1 - probs)).mean()
    dice = 1 - 2 * (probs * target).sum() / (probs.sum() + target.sum())
    loss = SegmentationLoss(name)(logits, batch([[[1, 3], [0, 0]]]))
    assert loss.item() == pytest.approx(entropy + (dice if name == "ce_dice" else 0.0), abs=1e-6)


def test_classes_are_told_apart_against_a_background_of_zero():
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 2, 2)))
    masks = np.array([[[0, 1], [2, 3]], [[3, 3], [0, 1]]])
    every = np.concatenate([np.zeros((2, 1, 2, 2)), logits.numpy()], axis=1)
    log_probs = every - np.log(np.exp(every).sum(1, keepdims=True))
    expected = -np.take_along_axis(log_probs, masks[:, None], 1)[:, 0]
    found = pixel_cross_entropy(logits, torch.from_numpy(masks), own=torch.tensor([1, 1]))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_where_a_mask_is_empty_a_pixel_may_be_background_or_of_the_images_class():
    logits = torch.tensor([[[[4.0]], [[-4.0]]]], dtype=torch.float64)  # one pixel that looks like the first class
    empty = torch.zeros((1, 1, 1), dtype=torch.int64)
    norm = np.log(1 + np.exp(4) + np.exp(-4))
    assert pixel_cross_entropy(logits, empty, torch.tensor([1])).item() == pytest.approx(norm - np.log(1 + np.exp(4)))
    assert pixel_cross_entropy(logits, empty, torch.tensor([2])).item() == pytest.approx(norm - np.log(1 + np.exp(-4)))
    assert pixel_cross_entropy(logits, empty, None).item() == pytest.approx(norm)


def test_the_image_counts_too():
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 4, 4))).float()
    given = batch(np.ones((2, 4, 4)), [2, 0])
    evidence = np.log(np.exp(logits.double().numpy()).mean((2, 3)))
    expected = np.mean(np.log(np.exp(evidence).sum(1)) - evidence[[0, 1], [2, 0]])
    difference = SegmentationLoss("ce_dice_image")(logits, given) - SegmentationLoss("ce_dice")(logits, given)
    assert difference.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_an_image_without_a_mask_teaches_only_what_it_is(name):
    logits = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    masks = np.zeros((2, 4, 4))
    masks[0, 1:3, 1:3] = 1
    loss = SegmentationLoss(name)
    loss(logits, batch(masks, [0, 1], [1.0, 0.0])).backward()
    assert (logits.grad[1].abs().sum() > 0) == (name == "ce_dice_image")
    if name != "ce_dice_image":
        alone = loss.of_images(logits[:1], batch(masks[:1], [0]))
        given = loss.of_images(logits, batch(masks, [0, 1], [1.0, 0.0]))
        torch.testing.assert_close(given, torch.cat([alone, torch.zeros(1)]))
        both = loss.of_overlap(logits, batch(masks, [0, 1], [1.0, 0.0]))
        assert both == loss.of_overlap(logits[:1], batch(masks[:1], [0]))


def test_overlap_is_the_librarys():
    from segmentation_models_pytorch.losses import DiceLoss

    generator = torch.Generator().manual_seed(0)
    logits, masks = torch.randn(3, 4, 8, 8, generator=generator), torch.randint(0, 4, (3, 8, 8), generator=generator)
    target = torch.stack([masks == channel for channel in range(1, 5)], dim=1).float()  # the fourth is marked nowhere
    expected = DiceLoss("multilabel", from_logits=False)(class_maps(logits, [1])[1][:, 1:], target)
    found = SegmentationLoss("ce_dice").of_overlap(logits, batch(masks.tolist()))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_no_mask_at_all_is_finite(name):
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    loss = SegmentationLoss(name)(logits, batch(np.zeros((2, 4, 4)), [0, 1], [0.0, 0.0]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
