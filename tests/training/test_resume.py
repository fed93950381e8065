"""A training that is killed after any epoch and started again ends in the same bytes as one that was not."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_tasks import ARCH, CPU, OPTIMISATION, loader, pictures

from defectdistill.models.students import build_student
from defectdistill.models.unet3plus import UNet3Plus
from defectdistill.training.class_weights import ClassWeights
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.fit import KEPT, RESUME, fit, seed_everything
from defectdistill.training.restart import Restartable
from defectdistill.training.segmentation_loss import SegmentationLoss
from defectdistill.training.segmentation_teacher import SegmentationRates, SegmentationTask

EPOCHS = 4


@pytest.fixture(autouse=True)
def one_thread():
    """Threads are pinned, as every stage pins them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the library may catch it."""


def segmentation():
    seed_everything(0)
    task = SegmentationTask(UNet3Plus(width=2), SegmentationLoss("ce_dice"), SegmentationRates(1e-2, "cosine", 0.1, 4))
    return task, pictures(), ("val_soft_dice", "max")


def classification(arch=ARCH):
    seed_everything(0)
    arrays = {key: value for key, value in pictures().items() if not key.startswith("mask")}
    return ClassificationTask(build_student(arch, 2), 2, Optimisation(**OPTIMISATION)), arrays, ("val_loss", "min")


def weighted():
    """Two of the eight pictures are of one class; what an epoch got right decides what they count for in the next."""
    task, arrays, monitor = classification()
    rows = np.array([0, 2, 4, 6, 0, 2, 1, 3])
    arrays = {key: value[rows] for key, value in arrays.items()}
    task.weighting = ClassWeights("adaptive", arrays["label"], 2)
    return task, arrays, monitor


def with_dropout():
    return classification("mobilenet_v3_small")


def train(make, folder, kill_after=None, patience=EPOCHS, on_epoch=lambda row: None):
    """Train in `folder`; a kill comes between the checkpoint of an epoch and whatever follows."""
    task, arrays, monitor = make()
    if kill_after is not None:

        def kill(checkpoint):
            if checkpoint["epoch"] == kill_after + 1:
                raise Killed

        task.on_save_checkpoint = kill  # while the next epoch's is written: the last whole one is `kill_after`'s
    limits = {"epochs": EPOCHS, "patience": patience, "seed": 0, "machine": CPU}
    kept = {"folder": folder, "history": folder / "history.csv", "on_epoch": on_epoch}
    fit(task, loader(arrays, seed=0), loader(arrays), monitor=monitor, **limits, **kept)
    return task.state_dict(), (folder / "history.csv").read_bytes()


@pytest.mark.parametrize(
    ("make", "patience"),
    [
        (segmentation, EPOCHS),
        (classification, EPOCHS),
        (classification, None),  # which epoch is kept and when to stop know nothing of the network
        (weighted, EPOCHS),
        (with_dropout, EPOCHS),
    ],
)
def test_a_restarted_training_ends_in_the_same_bytes(make, patience, tmp_path):
    weights, history = train(make, tmp_path / "whole", patience=patience)
    for kill_after in range(EPOCHS - 1):
        folder = tmp_path / str(kill_after)
        with pytest.raises(Killed):
            train(make, folder, kill_after, patience)
        seen = []
        again, rows = train(make, folder, patience=patience, on_epoch=seen.append)
        assert rows == history
        assert all(torch.equal(value, weights[key]) for key, value in again.items())
        assert [row["epoch"] for row in seen] == list(range(EPOCHS))  # the earlier ones again, for the tracking


def test_a_restart_trains_only_what_was_left(tmp_path):
    with pytest.raises(Killed):
        train(classification, tmp_path, kill_after=1)
    task, arrays, monitor = classification()
    epochs = []
    task.on_train_epoch_start = lambda: epochs.append(task.current_epoch)
    limits = {"epochs": EPOCHS, "patience": EPOCHS, "seed": 0, "machine": CPU}
    kept = {"folder": tmp_path, "history": tmp_path / "history.csv"}
    fit(task, loader(arrays, seed=0), loader(arrays), monitor=monitor, **limits, **kept)
    assert epochs == [2, 3]


@pytest.mark.parametrize("patience", [1, EPOCHS, None])
def test_a_training_killed_when_it_was_done_is_not_trained_further(tmp_path, patience):
    def stuck():
        task, arrays, _ = classification()
        task.optimisation = Optimisation(**OPTIMISATION | {"lr": 1e-12})
        return task, arrays, ("val_macro_f1", "max")  # does not improve: stops early

    weights, history = train(stuck, tmp_path, patience=patience)
    assert history.count(b"\n") == 1 + min((patience or EPOCHS) + 1, EPOCHS)
    again, rows = train(stuck, tmp_path, patience=patience)  # all checkpoints are there
    assert rows == history
    assert all(torch.equal(value, weights[key]) for key, value in again.items())


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    with pytest.raises(Killed):
        train(classification, tmp_path, kill_after=1)
    before = (tmp_path / f"{RESUME}.ckpt").read_bytes()
    write = Path.write_bytes

    def torn(path, content):
        write(path, bytes(content)[:1000])
        raise Killed

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(Killed):
        train(classification, tmp_path)
    assert (tmp_path / f"{RESUME}.ckpt").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {f"{RESUME}.ckpt", f"{KEPT}.ckpt"}


def test_no_two_seeds_have_an_epoch_of_the_same_random_numbers():
    def drawn(seed, epoch):
        Restartable(seed, None).on_train_batch_start(SimpleNamespace(current_epoch=epoch), None, None, 0)
        return torch.rand(1).item()

    places = [(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({drawn(*place) for place in places}) == len(places)
    assert drawn(1, 2) == drawn(1, 2)
