"""Two stages after FitNets: what each one trains, what it leaves alone, and that a killed one goes on where it was."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_tasks import CPU, DISTILL

from defectdistill import checkpoint
from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen import freeze_any
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.trunk import tensors_of, trunk_of
from defectdistill.training.classification import classification_task
from defectdistill.training.course import lessons_of
from defectdistill.training.distillation import Distilling
from defectdistill.training.lesson import Lesson

STUDENT = {
    "arch": "small_cnn_3", "weights": "none", "lr": 0.01, "min_lr": 0.0, "warmup": 0.0, "weight_decay": 0.0005,
    "label_smoothing": 0.0, "class_weights": "none", "batch_size": 4, "epochs": 3, "patience": 9, "seed": 0,
    "dihedral": True,
}  # fmt: skip
SETTINGS = DISTILL | {"method": "soft_targets", "levels": [2], "hint_epochs": 4, "hint_level": 2}


@pytest.fixture
def folder(tmp_path):
    """Images, a classifier as their teacher, and what it says of them."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8))
    write_table(tmp_path / "index.csv", ("name", "label"), [(f"{n}.png", n % 2) for n in range(8)])
    torch.manual_seed(1)
    teacher = build_student("small_cnn_5", 2)
    checkpoint.save(tmp_path / "teacher", teacher.state_dict(), classifier_config("small_cnn_5", ["a", "b"], 32, "pad"))
    frozen = freeze_any(tmp_path / "teacher", [2, 4], class_maps=False)
    frozen.save(tmp_path / "frozen_teacher")
    splits, name = {"train": tmp_path, "val": tmp_path}, checkpoint.content_hash(tmp_path / "teacher")
    write_store(tmp_path / "store", frozen, name, splits, 4, False, "always")
    return tmp_path


def course(folder, **changes):
    task, splits = classification_task(STUDENT, 2, np.arange(8) % 2), {"train": folder, "val": folder}
    lessons = lessons_of(task, SETTINGS | changes, folder / "store", folder / "teacher", splits, folder / "none")
    return task.student.network, lessons


def give(folder, lesson, work, on_epoch=lambda row: None, **changes):
    splits = {"train": folder, "val": folder}
    lesson.give(splits, STUDENT | changes, CPU, folder / work, folder / work / "metrics", on_epoch)


def copied(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(network, before):
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def test_without_hint_epochs_there_is_one_lesson(folder):
    _, lessons = course(folder, hint_epochs=0)
    assert [(lesson.name, lesson.monitor) for lesson in lessons] == [("", ("val_objective", "min"))]


def test_the_first_lesson_trains_the_trunk_by_the_hint_alone(folder):
    network, (first, second) = course(folder)
    before = copied(network)
    give(folder, first, "work")
    second.begin()
    trunk = tensors_of(network, trunk_of(network, first.task.taps[2]))
    assert changed(network, before) == trunk
    with (folder / "work/metrics/hint.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[-1]["val_hint"]) < float(rows[0]["val_hint"])
    assert not [name for name in rows[0] if "accuracy" in name]
    assert first.monitor == ("val_hint", "min")


def test_the_lessons_of_one_run_are_tracked_under_names_of_their_own(folder):
    """Both count their epochs from 0: under one name the second's first epochs would be taken for known."""
    _, (first, second) = course(folder)
    rows = []
    for lesson in (first, second):
        give(folder, lesson, "work", rows.append, epochs=2)
    hinted = [row for row in rows if "hint/train_loss" in row]
    assert [row["epoch"] for row in hinted] == [0, 1, 2, 3]
    assert all(name == "epoch" or name.startswith("hint/") for row in hinted for name in row)
    own = [row for row in rows if "train_loss" in row]
    assert [row["epoch"] for row in own] == [0, 1]
    assert len(hinted) + len(own) == len(rows)


@pytest.mark.parametrize("held", [True, False])
def test_the_second_lesson_holds_what_was_hinted_or_trains_everything(folder, held):
    network, (first, second) = course(folder, hold_hinted=held)
    give(folder, first, "work")
    before = copied(network)
    give(folder, second, "work")
    trunk = tensors_of(network, trunk_of(network, first.task.taps[2]))
    moved = changed(network, before)
    assert {name for name in network.state_dict() if name.startswith(("stage3", "head"))} <= moved
    assert (moved & trunk == set()) == held  # batch norm's statistics too
    assert set(network.state_dict()) == set(before)  # no regressor is left


@pytest.mark.parametrize("held", [True, False])
def test_batch_norm_learns_in_every_step_of_the_second_lesson(folder, held):
    network, lessons = course(folder, hold_hinted=held)
    for lesson in lessons:
        give(folder, lesson, "work", patience=None)
    trunk, hinted, taught = tensors_of(network, trunk_of(network, lessons[0].task.taps[2])), 4 * 2, 3 * 2
    counted = {name: int(value) for name, value in network.state_dict().items() if name.endswith("batches_tracked")}
    assert len(counted.keys() & trunk) > 0 < len(counted.keys() - trunk)
    for name, steps in counted.items():
        assert steps == (hinted if held else hinted + taught) * (name in trunk) + taught * (name not in trunk), name


@pytest.mark.parametrize("kind", ["plain", "hint", "distilled"])
def test_a_lesson_lays_its_images_anew_where_the_params_say_so(folder, kind):
    def losses(dihedral):
        if kind == "plain":
            lesson = Lesson(classification_task(STUDENT, 2, np.arange(8) % 2))
        else:
            lesson = course(folder, hint_epochs=1 if kind == "hint" else 0)[1][0]
        rows = []
        give(folder, lesson, f"{kind}-{dihedral}", rows.append, dihedral=dihedral, epochs=1)
        return rows[0]["hint/train_loss" if kind == "hint" else "train_loss"]

    assert losses(True) != losses(False)


def test_all_that_is_learned_has_a_gradient_and_nothing_else(folder):
    network, (first, second) = course(folder, hold_hinted=True)
    trunk = tensors_of(network, trunk_of(network, first.task.taps[2]))
    for lesson, learned in ((first, True), (second, False)):
        lesson.begin()
        assert all(p.requires_grad == ((name in trunk) == learned) for name, p in network.named_parameters())


def test_a_block_is_held_without_the_layers_in_it_that_are_not_named():
    """So ConvNeXt's: the level may lie in the middle of one."""
    block = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2))
    block.register_parameter("scale", torch.nn.Parameter(torch.ones(2)))
    holder = SimpleNamespace(student=SimpleNamespace(network=torch.nn.Sequential(block)))
    Distilling.hold(holder, ["0", "0.0"])
    held = {name for name, parameter in holder.student.network.named_parameters() if not parameter.requires_grad}
    assert held == {"0.scale", "0.0.weight", "0.0.bias"}


class Killed(Exception):
    pass


def test_killed_in_the_second_lesson_it_ends_in_the_same_bytes(folder):
    network, lessons = course(folder, hold_hinted=True)
    for lesson in lessons:
        give(folder, lesson, "whole")

    def kill(row):
        if row["epoch"] == 1:
            raise Killed

    _, lessons = course(folder, hold_hinted=True)
    give(folder, lessons[0], "cut")
    with pytest.raises(Killed):
        give(folder, lessons[1], "cut", kill)
    again, lessons = course(folder, hold_hinted=True)  # a new process
    epochs = []
    give(folder, lessons[0], "cut", epochs.append)
    assert len(epochs) == 4  # told again, not trained again
    give(folder, lessons[1], "cut")
    assert changed(again, copied(network)) == set()
    for name in ("hint.csv", "history.csv"):
        assert (folder / "cut/metrics" / name).read_bytes() == (folder / "whole/metrics" / name).read_bytes()
