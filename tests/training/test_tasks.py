"""The tasks on tiny data: what they learn, what they log, and what does not move."""

import importlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from defectdistill import checkpoint, distill_sections
from defectdistill.data.batches import NO_LABEL, JoinedBatches, PackedBatches, batches
from defectdistill.data.dihedral import WAY, laid
from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen import freeze_any
from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus, freeze_unet3plus
from defectdistill.distillation.pair import Pair
from defectdistill.models.small_map_convolution import SmallMapConv2d, convolve_small
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.taps import Tap
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.compute import Machine
from defectdistill.training.distillation import METHODS, STORED, distilling_task
from defectdistill.training.fit import fit, seed_everything
from defectdistill.training.segmentation_loss import SegmentationLoss
from defectdistill.training.segmentation_teacher import SegmentationRates, SegmentationTask

CPU = Machine("cpu", "fp32")
ARCH = "shufflenet_v2_x0_5"
OPTIMISATION = {"lr": 3e-3, "min_lr": 0.0, "weight_decay": 0.0, "warmup": 1, "epochs": 8, "label_smoothing": 0.1}
ALL_TERMS = {
    "mse", "cosine", "ssim", "class_map", "soft_targets", "hint", "channelwise", "distance", "angle", "distillation",
}  # fmt: skip
DISTILL = {
    "method": "feature_fusion",
    "unlabelled": False,
    "weights": {"feature_fusion": 0.5, "class_map": 1.0, "soft_targets": 2.0},
    "temperature": 2.0,
    "levels": [4, 8],
    "terms": {"mse": True, "cosine": True, "ssim": True},
    "beta": 0.5,
    "gamma": 0.1,
    "distance": 25.0,
    "angle": 50.0,
    "align": True,
    "schedule": "ramp",
    "alpha_start": 0.1,
    "alpha_end": 0.5,
    "hint_epochs": 0,
    "hint_level": 8,
    "hold_hinted": False,
}


def pictures(count=8):
    """Two classes: a bright square to the left or to the right, and the mask of it."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 90, (count, 32, 32, 3), dtype=np.uint8)
    masks, labels = np.zeros((count, 32, 32), np.uint8), np.arange(count) % 2
    for row, label in enumerate(labels):
        square = (row, slice(8, 24), slice(16 * label, 16 * label + 12))
        images[square], masks[square] = 230, label + 1
    return {"image": images, "label": labels, "mask": masks, "masked": np.ones(count, np.float32)}


def loader(arrays, seed=None, batch_size=4):
    return batches(PackedBatches(arrays), batch_size, seed)


def train(task, arrays, epochs, monitor="val_loss", mode="min", folder=None, **options):
    """Train in a new folder, or in one that is given."""
    with tempfile.TemporaryDirectory() as new:
        kept = {"folder": folder or Path(new), "history": (folder or Path(new)) / "history.csv", "seed": 0}
        settings = {
            "epochs": epochs,
            "monitor": (monitor, mode),
            "patience": epochs,
            "machine": CPU,
        } | options
        return fit(task, loader(arrays, seed=0), loader(arrays), **settings, **kept)


def classifier(**changes):
    seed_everything(0)
    return ClassificationTask(build_student(ARCH, 2), 2, Optimisation(**OPTIMISATION | changes))


def test_a_classifier_overfits_a_few_images(capsys):
    task = classifier(epochs=40, lr=1e-2)
    history = train(task, {key: value for key, value in pictures().items() if not key.startswith("mask")}, 40)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert max(row["val_accuracy"] for row in history) == 1.0
    assert "80 optimiser steps: 40 epochs of 2" in capsys.readouterr().err


def test_small_maps_are_matrix_products_while_a_task_trains_and_no_longer(monkeypatch):
    batches_seen = set()

    def noted(x, *rest):
        batches_seen.add(len(x))
        return convolve_small(x, *rest)

    monkeypatch.setattr("defectdistill.models.small_map_convolution.convolve_small", noted)
    task = classifier()
    train(task, {key: value for key, value in pictures().items() if not key.startswith("mask")}, 1)
    assert batches_seen == {4}
    assert not any(isinstance(module, SmallMapConv2d) for module in task.modules())


def test_a_segmentation_network_overfits_a_few_images():
    seed_everything(0)
    task = SegmentationTask(
        UNet3Plus(width=4), SegmentationLoss("ce_dice"), SegmentationRates(1e-2, "constant", 0.0, 12)
    )
    history = train(task, pictures(), 12, "val_dice", "max")
    assert max(row["val_dice"] for row in history) > 0.9
    best = max(history, key=lambda row: row["val_dice"])
    assert best["val_iou"] == pytest.approx(best["val_dice"] / (2 - best["val_dice"]), abs=1e-5)


def test_photographs_without_a_mask_do_not_count_in_the_overlap_nor_whole_batches_of_them(tmp_path):
    few = pictures() | {"masked": np.array([1, 1, 0, 1, 0, 0, 0, 0], np.float32)}
    some = {name: array[[0, 1, 3]] for name, array in few.items()}
    limits = {"epochs": 1, "patience": None, "seed": 0, "monitor": ("val_soft_dice", "max"), "machine": CPU}

    def measured(name, validation):
        seed_everything(0)
        rates = SegmentationRates(1e-3, "constant", 0.0, 1)
        task = SegmentationTask(UNet3Plus(out_channels=2, width=2), SegmentationLoss("ce_dice_image"), rates)
        kept = {"folder": tmp_path / name, "history": tmp_path / f"{name}.csv"}
        return fit(task, loader(some, seed=0), loader(validation), **limits, **kept)[0]

    mixed, masked = measured("mixed", few), measured("masked", some)
    for score in ("val_dice", "val_iou", "val_soft_dice"):
        assert mixed[score] == pytest.approx(masked[score], rel=1e-4)
    assert mixed["val_accuracy"] != masked["val_accuracy"]  # of all eight, and of three


def test_the_loss_is_smoothed_cross_entropy():
    """Equations 7 and 8: ŷ = (1 − ε)·y + ε/K, L = −Σ ŷ log p, in fp64 NumPy."""
    logits, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    target = 0.9 * np.eye(3)[labels] + 0.1 / 3
    expected = -(target * np.log(probs)).sum(1).mean()
    loss = classifier().hard_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}

    def weights(seed):
        seed_everything(seed)
        task = ClassificationTask(build_student(ARCH, 2), 2, Optimisation(**OPTIMISATION))
        train(task, arrays, 2)
        return torch.cat([value.flatten().float() for value in task.student.state_dict().values()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize(("patience", "kept"), [(4, 1), (None, 3)])
def test_the_best_epoch_is_kept_and_without_patience_the_last(patience, kept):
    class Worsening(ClassificationTask):
        def on_validation_epoch_end(self):
            self.log("score", -abs(self.current_epoch - 1.0))
            self.student.network.fc.bias.data.fill_(float(self.current_epoch))

        def training_step(self, batch):
            return super().training_step(batch) * 0.0

    task = Worsening(build_student(ARCH, 2), 2, Optimisation(**OPTIMISATION))
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    history = train(task, arrays, 4, monitor="score", mode="max", patience=patience)
    assert task.student.network.fc.bias[0].item() == kept
    assert [row["kept"] for row in history] == [float(epoch == kept) for epoch in range(4)]
    assert not task.training


def test_training_stops_when_nothing_improves():
    task = classifier(lr=1e-12)
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    history = train(task, arrays, 8, monitor="val_macro_f1", mode="max", patience=2)
    assert len(history) == 3


def test_every_epoch_is_handed_on_as_it_ends(tmp_path):
    seen = []
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    history = train(classifier(), arrays, 2, folder=tmp_path, patience=None, on_epoch=seen.append)
    assert [row | {"kept": float(row["epoch"] == 1)} for row in seen] == history
    assert [row["epoch"] for row in history] == [0, 1]
    expected = {"epoch", "learning_rate", "train_loss", "val_loss", "kept"}
    expected |= {f"{split}_{name}" for split in ("train", "val") for name in ("accuracy", "macro_f1", "macro_recall")}
    assert set(history[0]) == expected
    assert history[0]["learning_rate"] == pytest.approx(3e-3, rel=0.1)  # the warm-up's last step is the first epoch's
    assert (tmp_path / "history.csv").read_text().startswith("epoch,")


def test_more_processes_than_images_are_refused():
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    with pytest.raises(ValueError, match=r"9 processes for batches or a validation split of 4 images.*compute.devices"):
        train(classifier(), arrays, 1, machine=Machine("cpu", "fp32", devices=9))


def test_batch_norms_that_several_processes_would_change_are_refused():
    class BatchNormAct2d(nn.BatchNorm2d):
        """As timm's: an activation of its own after it."""

    task = classifier()
    task.student.network.further = BatchNormAct2d(4)
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    with pytest.raises(ValueError, match=r"the network.*\(BatchNormAct2d\) cannot.*compute\.devices: 1"):
        train(task, arrays, 1, machine=Machine("cpu", "fp32", devices=2))


def test_a_training_that_diverges_says_so():
    task = classifier()
    task.student.network.fc.weight.data.fill_(float("nan"))
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    with pytest.raises(ValueError, match="diverged"):
        train(task, arrays, 2)


def test_a_training_that_diverges_later_says_so_too(monkeypatch):
    task = classifier()
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    hard_loss = task.hard_loss
    monkeypatch.setattr(
        task, "hard_loss", lambda *given: hard_loss(*given) * (float("nan") if task.current_epoch == 2 else 1.0)
    )
    with pytest.raises(ValueError, match=r"train_loss.* of epoch 2 not finite: the training diverged"):
        train(task, arrays, 4)


@pytest.fixture
def store(tmp_path):
    """A feature store of the pictures, as the stage `freeze` writes it."""
    arrays = pictures()
    np.save(tmp_path / "images.npy", arrays["image"])
    np.save(tmp_path / "masks.npy", arrays["mask"])
    rows = [(f"{n}.png", n % 2, "given") for n in range(8)]
    write_table(tmp_path / "index.csv", ("name", "label", "mask_source"), rows)
    torch.manual_seed(0)
    network, config = UNet3Plus(out_channels=2, width=2), unet3plus_config("plain", 2, ["a", "b"], 32, "squash")
    checkpoint.save(tmp_path / "teacher", network.state_dict(), config)
    teacher, name = (
        freeze_unet3plus(network, config["unet3plus"], [4, 8]),
        checkpoint.content_hash(tmp_path / "teacher"),
    )
    teacher.save(tmp_path / "frozen_teacher")
    for folder, kept in (("store", "auto"), ("nothing_stored", "never")):
        write_store(tmp_path / folder, teacher, name, {"train": tmp_path}, 4, False, kept, limit_gb=1)
    return tmp_path


def distil(store, kept="store", **changes):
    given = (store / kept, store / "teacher", {"train": store}, store / "unlabelled")
    task, stored, _ = distilling_task(classifier(), DISTILL | changes, *given)
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    return task, arrays | stored["train"]


def test_distilling_logs_every_term_of_both_splits_and_lambda(store):
    task, arrays = distil(store)
    history = train(task, arrays, 3)
    terms = {f"{split}_{term}" for split in ("train", "val") for term in ("mse", "cosine", "ssim", "distillation")}
    assert terms | {"train_cross_entropy", "lambda"} <= set(history[0])
    assert [row["lambda"] for row in history] == pytest.approx([0.1 + 0.4 * (t / 8) ** 2 for t in range(3)])
    first = history[0]
    assert first["train_distillation"] == pytest.approx(
        first["train_mse"] + 0.5 * first["train_cosine"] + 0.1 * first["train_ssim"], rel=1e-5
    )
    assert first["train_loss"] == pytest.approx(first["train_cross_entropy"] + 0.1 * first["train_distillation"], 1e-5)
    assert history[-1]["train_distillation"] < first["train_distillation"]


def test_the_epoch_of_a_distilled_student_is_chosen_by_the_whole_objective(store):
    task, arrays = distil(store)  # a ramp from 0.1 to 0.5: the weight at the end counts, the same in every epoch
    history = train(task, arrays, 3)
    expected = [row["val_loss"] + 0.5 * row["val_distillation"] for row in history]
    assert [row["val_objective"] for row in history] == pytest.approx(expected, rel=1e-5)


def test_without_a_store_the_teacher_is_asked_and_the_losses_are_the_same(store):
    assert not list((store / "nothing_stored").rglob("*.npy"))
    task, arrays = distil(store)
    asking, without = distil(store, "nothing_stored")
    assert not [name for name in without if name.startswith(STORED)]
    teacher = {key: value.clone() for key, value in asking.teacher.state_dict().items()}
    for alone, asked in zip(train(task, arrays, 3), train(asking, without, 3), strict=True):
        assert asked == pytest.approx(alone, rel=2e-3, abs=2e-3)
    assert all(torch.equal(value, teacher[key]) for key, value in asking.teacher.state_dict().items())


def test_an_image_that_is_laid_anew_learns_the_same_stored_or_asked(store):
    """The teacher is asked about the image as it was, and about the photograph in the place of its copy."""
    rows = [(f"{n // 2}.png", n // 2 % 2, n % 2) for n in range(8)]
    write_table(store / "index.csv", ("name", "label", "copy"), rows)
    teacher, name = FrozenUNet3Plus.load(store / "frozen_teacher"), checkpoint.content_hash(store / "teacher")
    for folder, kept in (("store", "always"), ("nothing_stored", "never")):
        write_store(store / folder, teacher, name, {"train": store}, 4, False, kept, evidence_from="original")
    ways = {WAY: np.arange(8)}
    task, arrays = distil(store, method="combined")
    asking, without = distil(store, "nothing_stored", method="combined")
    assert [name for name in without if name.startswith(STORED)] == [f"{STORED}evidence"]
    as_it_was = train(distil(store, method="combined")[0], arrays, 1)
    stored = train(task, arrays | ways, 3)
    for alone, asked in zip(stored, train(asking, without | ways, 3), strict=True):
        assert asked == pytest.approx(alone, rel=4e-3, abs=4e-3)
    assert stored[0]["train_loss"] != pytest.approx(as_it_was[0]["train_loss"], rel=1e-3)


@pytest.mark.parametrize("method", ["none", "masks", "combined"])
def test_training_lays_images_masks_and_maps_together(store, method):
    """It is as if they had been laid beforehand."""
    task, arrays = distil(store, method=method) if method != "none" else (classifier(), pictures())
    again = distil(store, method=method)[0] if method != "none" else classifier()
    ways = {WAY: np.arange(8) % 7 + 1}
    batch = {name: torch.from_numpy(np.array(array)) for name, array in (arrays | ways).items()}
    before = {name: array.numpy() for name, array in laid(batch).items()}
    assert not np.array_equal(before["image"], arrays["image"])
    (row,), (expected,) = train(task, arrays | ways, 1), train(again, before, 1)
    assert {key: row[key] for key in row if key.startswith("train")} == {
        key: expected[key] for key in expected if key.startswith("train")
    }


def test_a_fixed_schedule_uses_the_end_weight_throughout(store):
    task, arrays = distil(store, schedule="fixed")
    assert [row["lambda"] for row in train(task, arrays, 2)] == [0.5, 0.5]


def test_distilling_changes_what_the_student_learns(store):
    task, arrays = distil(store)
    train(task, arrays, 2)
    alone = classifier()
    train(alone, {key: value for key, value in arrays.items() if not key.startswith(STORED)}, 2)
    key = "network.stage2.0.branch2.0.weight"
    assert not torch.equal(task.student.state_dict()[key], alone.student.state_dict()[key])


def test_gradients_of_distilling_reach_student_and_alignment(store):
    task, arrays = distil(store)
    batch = next(iter(loader(arrays)))
    logits, terms = task.distil(batch)
    (F.cross_entropy(logits, batch["label"]) + terms["total"]).backward()
    assert all(parameter.grad is not None for parameter in task.parameters())


def test_a_configured_level_that_is_not_in_the_batch_is_named(store):
    task, arrays = distil(store)
    batch = next(iter(loader({key: value for key, value in arrays.items() if key != f"{STORED}features8"})))
    with pytest.raises(ValueError, match="stride 8, but the teacher gave no features"):
        task.distil(batch)


def test_every_method_that_params_allow_is_there_and_asks_for_what_they_say():
    pair = Pair({8: Tap("a", 4, 8)}, {8: Tap("b", 4, 8)}, 2, 2)
    for name in set(METHODS) - {"combined"}:
        method = importlib.import_module(METHODS[name]).build(pair, DISTILL)
        asked = distill_sections.ASKED.get(name)
        assert method.needs & {"features", "maps", "scores"} == ({asked} if asked else set()), name
    assert set(distill_sections.ASKED) == set(METHODS) - {"combined", "masks", "none"}


def test_an_unknown_method_lists_the_known_ones(store):
    with pytest.raises(ValueError, match=r"distill.method = 'magic': expected one of combined, feature_fusion"):
        distil(store, method="magic")


@pytest.mark.parametrize(
    ("method", "terms"),
    [
        ("combined", {"mse", "cosine", "ssim", "class_map", "soft_targets"}),
        ("class_map", {"class_map"}),
        ("soft_targets", {"soft_targets"}),
        ("hint", {"hint"}),
        ("channelwise", {"channelwise"}),
        ("relational", {"distance", "angle"}),
        ("masks", {"class_map"}),
        ("none", set()),
    ],
)
@pytest.mark.parametrize("kept", ["store", "nothing_stored"])
def test_every_method_learns_stored_or_asked(store, method, terms, kept):
    task, arrays = distil(store, kept, method=method, schedule="fixed", alpha_end=1.0)
    history = train(task, arrays, 3)
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert terms | {"distillation"} == {
        name.removeprefix("train_") for name in history[0] if name.removeprefix("train_") in ALL_TERMS
    }
    if "class_map" in terms:  # this teacher has no opinion of an image that could be learned
        assert history[-1]["train_class_map"] < history[0]["train_class_map"]


@pytest.mark.parametrize("rows", [5, 8])
def test_a_last_batch_of_one_is_left_out_and_its_validation_is_no_nan(store, rows):
    """RKD of one image has no pair: five images in batches of four leave one over."""
    task, arrays = distil(store, method="relational", schedule="fixed", alpha_end=1.0)
    steps = []
    task.on_train_batch_end = lambda outputs, batch, index: steps.append(len(batch["label"]))
    history = train(task, {name: array[:rows] for name, array in arrays.items()}, 2)
    assert steps == [4, 4] * (rows // 4)  # of five images four are learned from in each epoch
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert history[0]["val_distance"] > 0


@pytest.fixture
def taught_by_a_classifier(tmp_path):
    """A feature store whose teacher is a classifier."""
    np.save(tmp_path / "images.npy", pictures()["image"])
    write_table(tmp_path / "index.csv", ("name", "label"), [(f"{n}.png", n % 2) for n in range(8)])
    torch.manual_seed(0)
    network = build_student("small_cnn_3", 2)
    folder = tmp_path / "teacher"
    checkpoint.save(folder, network.state_dict(), classifier_config("small_cnn_3", ["a", "b"], 32, "squash"))
    frozen = freeze_any(folder, [4], class_maps=True)
    frozen.save(tmp_path / "frozen_teacher")
    for name, kept in (("store", "always"), ("nothing_stored", "never")):
        write_store(tmp_path / name, frozen, checkpoint.content_hash(folder), {"train": tmp_path}, 4, False, kept)
    return tmp_path


@pytest.mark.parametrize("kept", ["store", "nothing_stored"])
@pytest.mark.parametrize("method", ["feature_fusion", "hint", "relational", "soft_targets", "none"])
def test_a_classifier_teaches_whatever_needs_no_map(taught_by_a_classifier, method, kept):
    task, arrays = distil(taught_by_a_classifier, kept, method=method, levels=[4])
    history = train(task, arrays, 2)
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert history[0]["train_distillation"] > 0 or method == "none"


@pytest.mark.parametrize("method", ["class_map", "channelwise", "combined"])
def test_what_a_classifier_cannot_teach_is_refused_by_name(taught_by_a_classifier, method):
    message = rf"distill.method = {method} asks for the teacher's maps, but this one says features and scores"
    with pytest.raises(ValueError, match=message):
        distil(taught_by_a_classifier, method=method, levels=[4])


def test_images_without_a_label_count_in_what_the_teacher_says_alone(store):
    task, arrays = distil(store, method="combined")
    known = batches(PackedBatches(arrays), 8)
    batch = next(iter(known))
    labels = batch["label"].clone()
    logits, _ = task.distil(batch)
    batch["label"][4:] = NO_LABEL
    assert task.hard_loss(logits, batch["label"]) == task.hard_loss(logits[:4], labels[:4])
    assert task.hard_loss(logits, torch.full_like(labels, NO_LABEL)) == 0
    unlabelled = {name: value for name, value in arrays.items() if name != "label"}
    unlabelled["label"] = np.full(8, NO_LABEL)
    mixed = batches(JoinedBatches(PackedBatches(arrays), PackedBatches(unlabelled)), 4, seed=0)
    with tempfile.TemporaryDirectory() as new:
        kept = {"folder": Path(new), "history": Path(new) / "history.csv", "seed": 0}
        limits = {"epochs": 3, "monitor": ("val_loss", "min"), "patience": 3, "machine": CPU}
        history = fit(task, mixed, known, **limits, **kept)
    assert all(np.isfinite(list(row.values())).all() for row in history)


def test_photographs_without_a_label_come_with_what_the_teacher_said_of_them(store):
    more = store / "unlabelled"
    more.mkdir()
    np.save(more / "images.npy", pictures(3)["image"])
    write_table(more / "index.csv", ("name",), [(f"{n}.png",) for n in range(3)])
    teacher = store / "teacher"
    write_store(store / "both", FrozenUNet3Plus.load(store / "frozen_teacher"), checkpoint.content_hash(teacher),
                {"train": store, "unlabelled": more}, 4, False)  # fmt: skip
    given = (store / "both", teacher, {"train": store}, more)
    wanted = DISTILL | {"method": "combined", "unlabelled": True}
    _, stored, (folder, arrays) = distilling_task(classifier(), wanted, *given)
    assert (set(stored), folder) == ({"train"}, more)
    assert set(arrays) == set(stored["train"])
    assert {len(array) for array in arrays.values()} == {3}
    assert distilling_task(classifier(), wanted | {"unlabelled": False}, *given)[2] is None
    np.save(more / "images.npy", pictures(3)["image"][:0])
    assert distilling_task(classifier(), wanted, *given)[2] is None


def test_true_masks_take_the_teachers_place(store):
    task, arrays = distil(store, method="masks")
    assert task.teacher is None
    maps = arrays[f"{STORED}class_map4"]
    assert maps.shape == (8, 8, 8, 3)
    masks = pictures()["mask"]
    np.testing.assert_allclose(maps[3, ..., 2].sum() * 16, (masks[3] == 2).sum(), rtol=1e-3)
    write_table(
        store / "index.csv", ("name", "mask_source"), [(f"{n}.png", "none" if n else "given") for n in range(8)]
    )
    _, arrays = distil(store, method="masks")
    assert [float(each.sum()) for each in arrays[f"{STORED}class_map8"]] == [16.0] + [0.0] * 7


def test_without_a_method_a_student_learns_what_a_classifier_learns(store):
    plain = classifier()
    task, arrays = distil(store, method="none", unlabelled=True)
    assert (task.teacher, set(arrays)) == (None, {"image", "label", "mask"} & set(arrays))
    task.student.load_state_dict(plain.student.state_dict())
    history, expected = train(task, arrays, 2), train(plain, arrays, 2)
    assert [row["val_loss"] for row in history] == [row["val_loss"] for row in expected]
    assert {row["train_distillation"] for row in history} == {0.0}


@pytest.mark.parametrize("method", ["masks", "none"])
def test_what_asks_no_teacher_does_not_learn_from_photographs_without_a_label(store, method):
    wanted = DISTILL | {"method": method, "unlabelled": True}
    given = (store / "features", store / "teacher", {"train": store}, store)
    assert distilling_task(classifier(), wanted, *given)[2] is None


def test_bf16_and_channels_last_learn_too(store):
    task, arrays = distil(store)
    history = train(task, arrays, 2, machine=Machine("cpu", "bf16"))
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert all(parameter.dtype == torch.float32 for parameter in task.parameters())


def test_a_good_part_that_is_good_all_over_is_no_defect():
    class Says(nn.Module):  # the mark on the first, "good" all over the second
        def __init__(self):
            super().__init__()
            self.decoder = SimpleNamespace(head=SimpleNamespace(out_channels=2))

        def forward(self, images):
            logits = torch.full((2, 2, 8, 8), -9.0)
            logits[0, 0, 2:5, 2:5] = logits[1, 1] = 9.0
            return logits

    mask = torch.zeros(2, 8, 8, dtype=torch.uint8)
    mask[0, 2:5, 2:5] = 1
    batch = {"image": torch.zeros(2, 8, 8, 3, dtype=torch.uint8), "mask": mask, "label": torch.tensor([0, 1])}
    dice = {}
    for normal in ((), (1,)):
        task = SegmentationTask(
            Says(), SegmentationLoss("ce_dice_image"), SegmentationRates(0.1, "cosine", 0.0, 2), normal
        )
        task.log = lambda *_, **__: None
        task.validation_step(batch | {"masked": torch.ones(2, dtype=torch.uint8)})
        dice[normal] = (task.dice.compute().item(), task.soft_dice.compute().item())
    assert dice[1,] == pytest.approx((1.0, 1.0), abs=0.01)
    assert max(dice[()]) < 0.3
