"""Students that segment and teachers that could be one: every combination with every method, for one batch, or refused
by name; `test_combinations.py` does the same for classifiers of every kind.
"""

import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.data.batches import PackedBatches, batches
from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen import freeze_any
from defectdistill.models.resunet import ResUNet, resunet_config
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config
from defectdistill.training.classification import classification_task
from defectdistill.training.distillation import METHODS, distilling_task
from defectdistill.training.segmentation_student import segmentation_student_task

SIDE, NAMES, LABELS = 32, ["a", "b"], np.arange(4) % 2
TRAINING = {"weights": "none", "lr": 0.01, "min_lr": 0.0, "warmup": 0, "weight_decay": 0.0, "epochs": 2, "seed": 0}
RESUNET = {"encoder": "tu-test_convnext", "global_context": False, "feature_fusion": False}
DISTILL = {
    "weights": {"feature_fusion": 1.0, "class_map": 1.0, "soft_targets": 1.0}, "unlabelled": False, "levels": [4],
    "temperature": 2.0, "terms": {"mse": True, "cosine": True, "ssim": True}, "beta": 0.5, "gamma": 0.1,
    "distance": 25.0, "angle": 50.0, "align": True, "schedule": "fixed", "alpha_start": 1.0, "alpha_end": 1.0,
}  # fmt: skip
TEACHERS = ("unet3plus", "unet3plus binary", "resunet", "classifier")
# What each teacher cannot be asked for, by method (docs/methods.md has the table).
MAPS, SCORES = {"class_map", "channelwise", "combined"}, {"soft_targets", "combined"}
REFUSED = {"unet3plus": set(), "unet3plus binary": SCORES, "resunet": set(), "classifier": MAPS}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four images with masks, and the store of each teacher."""
    folder = tmp_path_factory.mktemp("combinations")
    rng = np.random.default_rng(0)
    masks = np.zeros((4, SIDE, SIDE), np.uint8)
    masks[::2, 8:20, 8:20], masks[1::2, 4:12, 4:28] = 1, 2
    np.save(folder / "images.npy", rng.integers(0, 255, (4, SIDE, SIDE, 3), dtype=np.uint8))
    np.save(folder / "masks.npy", masks)
    rows = [(f"{row}.png", row % 2, f"{row}", "given") for row in range(4)]
    write_table(folder / "index.csv", ("name", "label", "group", "mask_source"), rows)
    torch.manual_seed(0)
    made = {
        "unet3plus": (UNet3Plus(out_channels=2, width=2), unet3plus_config("plain", 2, NAMES, SIDE, "squash")),
        "unet3plus binary": (UNet3Plus(width=2), unet3plus_config("plain", 2, ["defect"], SIDE, "squash")),
        "resunet": (ResUNet(classes=2, **RESUNET), resunet_config(RESUNET, NAMES, SIDE, "squash")),
        "classifier": (build_student("small_cnn_3", 2), classifier_config("small_cnn_3", NAMES, SIDE, "squash")),
    }
    for name, (network, config) in made.items():
        checkpoint.save(folder / name / "teacher", network.state_dict(), config)
        frozen = freeze_any(folder / name / "teacher", [4], class_maps=True)
        frozen.save(folder / name / "frozen_teacher")
        trained = checkpoint.content_hash(folder / name / "teacher")
        write_store(folder / name / "store", frozen, trained, {"train": folder}, 4, autocast=False)
    return folder


def student(kind, folder):
    if kind == "segmentation":
        return segmentation_student_task(
            TRAINING | RESUNET, {"classes": NAMES, "marked_splits": ["val", "test"]}, folder
        )
    return classification_task(
        TRAINING | {"arch": "small_cnn_3", "label_smoothing": 0.0, "class_weights": "none"}, 2, LABELS
    )


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_combination_gives_gradients_or_is_refused_by_name(data, kind, teacher, method):
    task, place = student(kind, data), data / teacher
    given = (DISTILL | {"method": method}, place / "store", place / "teacher", {"train": data}, data)
    if method in REFUSED[teacher]:
        with pytest.raises(ValueError, match=rf"distill\.method = {method} asks for|soft_targets off"):
            distilling_task(task, *given)
        return
    distilling, stored, _ = distilling_task(task, *given)
    arrays = {"image": np.load(data / "images.npy"), "label": np.arange(4) % 2} | task.arrays(data) | stored["train"]
    batch = next(iter(batches(PackedBatches(arrays), 4)))
    logits, terms = distilling.distil(batch)
    loss = distilling.hard_loss(logits, distilling.truth(batch)) + terms["total"]
    loss.backward()
    assert torch.isfinite(loss)
    assert float(terms["total"].detach()) > 0 or method == "none"
    lost = [name for name, parameter in distilling.named_parameters() if parameter.grad is None]
    assert not lost, lost


def test_a_segmenting_student_is_held_against_the_teachers_map_itself(data):
    """Where both have the same classes there is nothing to learn between them: no convolution is added."""
    given = (data / "resunet/store", data / "resunet/teacher", {"train": data}, data)
    task, _, _ = distilling_task(student("segmentation", data), DISTILL | {"method": "channelwise"}, *given)
    assert not list(task.method.parameters())
    binary = (data / "unet3plus binary/store", data / "unet3plus binary/teacher", {"train": data}, data)
    task, _, _ = distilling_task(student("segmentation", data), DISTILL | {"method": "channelwise"}, *binary)
    assert task.method.heads["4"].weight.shape == (2, 3, 1, 1)


def test_the_channelwise_term_is_zero_for_a_student_that_says_what_its_teacher_says(data):
    task = student("segmentation", data)
    given = (data / "resunet/store", data / "resunet/teacher", {"train": data}, data)
    task.student.load_state_dict(checkpoint.read_weights(data / "resunet/teacher"))
    distilling, stored, _ = distilling_task(task, DISTILL | {"method": "channelwise"}, *given)
    distilling.eval()
    arrays = {"image": np.load(data / "images.npy"), "label": np.arange(4) % 2} | task.arrays(data) | stored["train"]
    with torch.no_grad():
        _, terms = distilling.distil(next(iter(batches(PackedBatches(arrays), 4))))
    assert float(terms["total"]) == pytest.approx(0, abs=1e-5)  # the store is fp16
