"""The task of a student that segments, on tiny data: its loss by hand, what it learns, logs and leaves alone."""

import re

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from defectdistill.data.batches import NO_LABEL, PackedBatches, batches
from defectdistill.data.tables import write_table
from defectdistill.models.normalise import normalise
from defectdistill.training.class_overlap import ClassOverlap
from defectdistill.training.compute import Machine
from defectdistill.training.fit import fit
from defectdistill.training.segmentation_student import class_weights, segmentation_student_task
from defectdistill.training.tasks import segmentation
from defectdistill.training.teachers import resunet
from defectdistill.training.teachers.teaching import warn_of_the_unseen

SETTINGS = {
    "encoder": "tu-test_convnext", "global_context": False, "feature_fusion": False, "weights": "none", "lr": 0.003,
    "min_lr": 0.0, "warmup": 0, "weight_decay": 0.0, "epochs": 12, "seed": 0,
}  # fmt: skip

DATA = {"classes": ["bright", "dark"], "marked_splits": ["train", "val", "test"]}


@pytest.fixture
def split(tmp_path):
    """Six images with a bright square of class 1 or a dark one of class 2; the last one has no mask."""
    rng = np.random.default_rng(0)
    images, masks = rng.integers(100, 130, (6, 32, 32, 3), dtype=np.uint8), np.zeros((6, 32, 32), np.uint8)
    for row in range(6):
        square = (row, slice(8, 24), slice(4, 20))
        images[square], masks[square] = (240, 1) if row % 2 else (10, 2)
    masks[5] = 0
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "masks.npy", masks)
    rows = [(f"{row}.png", 1 - row % 2, f"{row}", "none" if row == 5 else "given") for row in range(6)]
    write_table(tmp_path / "index.csv", ("name", "label", "group", "mask_source"), rows)
    return tmp_path


def task_of(split, **changes):
    return segmentation_student_task(SETTINGS | changes, DATA, split)


def loader(task, split, seed=None):
    arrays = {"image": np.load(split / "images.npy"), "label": np.arange(6) % 2} | task.arrays(split)
    return batches(PackedBatches(arrays), 3, seed)


def train(task, split, epochs, folder):
    limits = {"seed": 0, "epochs": epochs, "patience": epochs, "monitor": task.monitor}
    given = {"folder": folder, "history": folder / "history.csv", "machine": Machine("cpu", "fp32")}
    return fit(task, loader(task, split, 0), loader(task, split), **limits, **given)


def test_rarer_classes_weigh_more_and_a_mean_pixel_one(split):
    weights = class_weights(split, 2)
    pixels = 5 * 32 * 32
    shares = np.array([pixels - 5 * 256, 2 * 256, 3 * 256]) / pixels  # the image without a mask does not count
    np.testing.assert_allclose(weights, shares**-0.5 / (shares**0.5).sum(), rtol=1e-6)
    assert float((weights * torch.tensor(shares)).sum()) == pytest.approx(1)
    np.testing.assert_allclose(class_weights(split, 3)[3], 0)  # a class that no mask shows


def test_masks_without_a_defect_are_refused(split):
    np.save(split / "masks.npy", np.zeros((6, 32, 32), np.uint8))
    with pytest.raises(ValueError, match="no mask shows a defect, so nothing can be learned"):
        task_of(split)


@pytest.mark.parametrize(
    ("marked", "named"),
    [(["test"], "val"), (["val"], "test"), ([], "val and test")],
)
def test_splits_by_which_it_could_not_be_judged_are_refused_before_the_training(split, marked, named):
    with pytest.raises(ValueError, match=f"^no image of {named} has a mask that shows a defect"):
        segmentation_student_task(SETTINGS, DATA | {"marked_splits": ["train", *marked]}, split)
    data = DATA | {"marked_splits": ["train", *marked], "size": 32, "resize": "squash"}
    with pytest.raises(ValueError, match=f"^no image of {named} has"):
        resunet.teaching(SETTINGS | {"batch_size": 3}, data, split, split, on_gpu=False)
    with pytest.raises(ValueError, match=f"^no image of {named} has"):
        segmentation.student_task(SETTINGS, data, split)


def test_a_class_that_no_mask_shows_is_named_before_it_is_taught_by_masks_alone(capsys):
    warn_of_the_unseen({"unmasked_classes": []})
    assert not capsys.readouterr().err
    warn_of_the_unseen({"unmasked_classes": ["burr", "good"]})
    assert re.search(r"no mask shows burr, good, .*weights\.soft_targets: 0", capsys.readouterr().err)


def test_the_loss_is_the_weighted_cross_entropy_of_the_images_with_a_mask(split):
    task, batch = task_of(split), next(iter(batches(PackedBatches(task_of(split).arrays(split)), 6)))
    logits = torch.randn(6, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    every = np.concatenate([np.zeros((6, 1, 32, 32)), logits.double().numpy()], axis=1)  # the background's zeros
    log_probs = every - np.log(np.exp(every).sum(axis=1, keepdims=True))
    mask = batch["mask"].numpy().astype(int)
    own = -np.take_along_axis(log_probs, mask[:, None], axis=1)[:, 0] * task.pixel_weights.numpy()[mask]
    assert float(task.hard_loss(logits, task.truth(batch))) == pytest.approx(own[:5].mean(), rel=1e-5)
    batch["masked"][:] = 0
    assert task.hard_loss(logits, task.truth(batch)) == 0
    assert (task.counted(batch) == NO_LABEL).all()


def test_gradients_reach_every_parameter_with_and_without_both_modules(split):
    for options in ({}, {"global_context": True, "feature_fusion": True}):
        task = task_of(split, **options)
        batch = next(iter(loader(task, split)))
        logits, _ = task.student.forward_with_features(torch.randn(3, 3, 32, 32), {})
        task.hard_loss(logits, task.truth(batch)).backward()
        assert not [name for name, parameter in task.student.named_parameters() if parameter.grad is None]


def test_it_overfits_logs_its_scores_and_the_same_seed_gives_the_same_bytes(split, tmp_path):
    task, again = task_of(split), task_of(split)
    history = train(task, split, 12, tmp_path / "a")
    scores = {f"val_{name}" for name in ("loss", "mean_dice", "mean_iou", "soft_dice", "dice")}
    assert set(history[0]) == {"epoch", "learning_rate", "train_loss", "kept"} | scores
    best = max(history, key=lambda row: row["val_soft_dice"])
    assert best["val_mean_dice"] > 0.9
    assert history[-1]["train_loss"] < 0.3 * history[0]["train_loss"]
    train(again, split, 12, tmp_path / "b")
    for name, value in task.student.state_dict().items():
        assert torch.equal(value, again.student.state_dict()[name]), name
    other = task_of(split, seed=1).student.state_dict()
    assert not torch.equal(other["head.weight"], task_of(split).student.state_dict()["head.weight"])


def test_maps_and_scores_are_computed_where_a_term_asks_for_them(split):
    task, logits, features = task_of(split), torch.randn(2, 2, 32, 32), {4: torch.randn(2, 3, 8, 8)}
    answer = task.answer(logits, features, {"features"})
    assert (answer.features, answer.maps, answer.scores) == (features, {}, None)
    answer = task.answer(logits, features, {"maps", "scores"})
    assert answer.maps[4].shape == (2, 3, 8, 8)
    assert answer.scores.shape == (2, 2)


def test_the_validation_loss_is_a_mean_over_images_with_a_mask_whatever_the_batches(split, tmp_path):
    task, own = task_of(split), []
    history = train(task, split, 1, tmp_path / "a")  # in batches of three and of two with a mask
    arrays = {"image": np.load(split / "images.npy"), "label": np.arange(6) % 2} | task.arrays(split)
    for batch in batches(PackedBatches(arrays), 1):
        with torch.no_grad():
            own.append(float(task.hard_loss(task.student(normalise(batch["image"])), task.truth(batch))))
    assert len(set(own[:5])) == 5
    assert own[5] == 0
    assert history[0]["val_loss"] == pytest.approx(np.mean(own[:5]), rel=1e-5)


def test_overlaps_agree_with_torchmetrics_over_batches():
    generator = torch.Generator().manual_seed(0)
    probs = torch.randn(4, 4, 9, 7, generator=generator).softmax(dim=1)
    masks = torch.randint(0, 4, (4, 9, 7), generator=generator)
    overlap = ClassOverlap(3)
    for rows in (slice(0, 1), slice(1, 4)):
        overlap.update(probs[rows], masks[rows])
    found, flat = probs.argmax(dim=1).flatten(), masks.flatten()
    values = overlap.compute()
    each = multiclass_f1_score(found, flat, num_classes=4, average="none")[1:]
    assert float(values["mean_dice"]) == pytest.approx(float(each.mean()), rel=1e-5)
    each = multiclass_jaccard_index(found, flat, num_classes=4, average="none")[1:]
    assert float(values["mean_iou"]) == pytest.approx(float(each.mean()), rel=1e-5)
    onehot = torch.nn.functional.one_hot(masks, 4).permute(0, 3, 1, 2).double()
    both, area = (probs * onehot).sum(dim=(0, 2, 3)), (probs + onehot).sum(dim=(0, 2, 3))
    assert float(values["soft_dice"]) == pytest.approx(float((2 * both / area)[1:].mean()), rel=1e-5)


def test_a_class_that_the_truth_does_not_show_is_left_out_of_the_mean():
    overlap, masks = ClassOverlap(2), torch.zeros(1, 4, 4, dtype=torch.long)
    masks[0, :2] = 1
    overlap.update(torch.nn.functional.one_hot(masks, 3).permute(0, 3, 1, 2).float(), masks)
    assert [float(overlap.compute()[name]) for name in ("mean_dice", "mean_iou", "soft_dice", "dice")] == [1.0] * 4
    empty = ClassOverlap(2)
    empty.update(torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))
    assert float(empty.compute()["mean_dice"]) == 0
