"""One training for the same inputs, whoever else starts it, and a folder that outlives a kill."""

import os
import threading
import time
from pathlib import Path

import pytest

from defectdistill.training import compute, once
from defectdistill.training.once import train_once

OUTPUTS = ("models/teacher", "metrics/runs/teacher.json")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository's root, with a copy of it as `dvc exp run --temp` makes it."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "teacher")
    for folder in (tmp_path, tmp_path / ".dvc/tmp/exps/copy"):
        (folder / "data").mkdir(parents=True)
        (folder / "data/images.npy").write_bytes(b"images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trainer(log, fails=False):
    def train(work):
        log.append(work)
        (work.folder / "resume.ckpt").write_text("x")
        if fails:
            raise RuntimeError("out of copper")
        Path("models/teacher").mkdir(parents=True)
        Path("models/teacher/weights").write_text("weights")
        Path("metrics/runs").mkdir(parents=True)
        Path("metrics/runs/teacher.json").write_text(work.run)

    return train


def start(log, fails=False, settings=None, stage="teacher"):
    train_once(stage, settings or {"teacher.lr": 0.1}, [Path("data")], OUTPUTS, trainer(log, fails))


def trainings(root):
    return sorted(path.name for path in (root / ".dvc/tmp/defectdistill/trainings").iterdir())


def test_the_checkpoints_are_gone_afterwards(root):
    log = []
    start(log)
    (folder,) = (root / ".dvc/tmp/defectdistill/trainings").iterdir()
    assert [path.name for path in folder.iterdir()] == ["result"]
    assert log[0].folder == folder


def test_a_training_that_failed_finds_its_folder_and_its_run_again(root):
    log = []
    with pytest.raises(RuntimeError, match="copper"):
        start(log, fails=True)
    assert (log[0].folder / "resume.ckpt").exists()
    start(log)
    assert log[0] == log[1]


def test_a_finished_training_that_is_forced_is_trained_again_under_a_new_run(root):
    log = []
    start(log)
    for name in ("models", "metrics"):
        os.rename(name, f"old-{name}")
    start(log)
    assert log[0].folder == log[1].folder
    assert log[0].run != log[1].run
    assert not (log[1].folder / "resume.ckpt").exists()


@pytest.mark.parametrize("change", ["settings", "stage", "content", "name", "code", "precision"])
def test_what_differs_is_another_training(root, monkeypatch, tmp_path_factory, change):
    monkeypatch.setattr(compute, "has_fast_bf16", lambda accelerator: True)
    log = []
    start(log)
    for name in ("models", "metrics"):
        os.rename(name, f"old-{name}")
    if change == "precision":  # what auto comes to on another machine
        monkeypatch.setattr(compute, "has_fast_bf16", lambda accelerator: False)
    if change == "content":
        Path("data/images.npy").write_bytes(b"imageS")
    if change == "name":
        os.rename("data/images.npy", "data/pictures.npy")
    if change == "code":
        checkout = tmp_path_factory.mktemp("checkout")
        (checkout / "src/defectdistill").mkdir(parents=True)
        (checkout / "src/defectdistill/new.py").write_text("x = 1")
        monkeypatch.setattr(once, "CHECKOUT", checkout)
    start(
        log,
        settings={"teacher.lr": 0.2} if change == "settings" else None,
        stage="baseline" if change == "stage" else "teacher",
    )
    assert log[0].folder != log[1].folder


def test_a_copy_takes_the_result_that_another_has_just_made(root, monkeypatch, capsys):
    log = []
    start(log)
    monkeypatch.chdir(root / ".dvc/tmp/exps/copy")
    start(log)
    assert len(log) == 1
    assert Path("models/teacher/weights").read_text() == "weights"
    assert Path("metrics/runs/teacher.json").read_text() == log[0].run  # linked to the run that trained it
    assert "taking its result" in capsys.readouterr().err


def test_two_at_once_train_once(root, capsys):
    """The second starts while the first trains, and waits for it."""
    log, begun, go_on = [], threading.Event(), threading.Event()

    def slow(work):
        begun.set()
        assert go_on.wait(10)
        trainer(log)(work)

    first = threading.Thread(target=train_once, args=("teacher", {}, [Path("data")], OUTPUTS, slow))
    first.start()
    assert begun.wait(10)
    second = threading.Thread(target=train_once, args=("teacher", {}, [Path("data")], (), trainer(log)))
    second.start()
    time.sleep(0.5)
    assert not log
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(log) == 1
    assert "another process trains the same; waiting for its result" in capsys.readouterr().err


def test_old_results_and_forgotten_checkpoints_are_pruned_and_others_are_not(root):
    log = []
    start(log)
    with pytest.raises(RuntimeError):
        start(log, fails=True, settings={"teacher.lr": 0.3})
    result, checkpoint = log[0].folder, log[1].folder
    for name in ("models", "metrics"):
        os.rename(name, f"old-{name}")
    ago = time.time() - 2 * once.RESULT_LIFE
    os.utime(result, (ago, ago))
    os.utime(checkpoint, (ago, ago))
    start(log, settings={"teacher.lr": 0.4})
    assert not result.exists()
    assert checkpoint.exists()


def test_an_earlier_result_does_not_shorten_the_life_of_a_checkpoint(root):
    log = []
    start(log)
    for name in ("models", "metrics"):
        os.rename(name, f"old-{name}")
    with pytest.raises(RuntimeError):
        start(log, fails=True)  # the same once more, killed
    ago = time.time() - 2 * once.RESULT_LIFE
    os.utime(log[0].folder, (ago, ago))
    start(log, settings={"teacher.lr": 0.4})
    assert (log[0].folder / "resume.ckpt").exists()


def test_a_kill_while_checkpoints_are_removed_leaves_none_where_a_training_looks_for_them(root, monkeypatch):
    """One of two checkpoints of a training that is done could not be gone on from, ever."""
    log, remove = [], once.shutil.rmtree

    def killed(path, **options):
        if Path(path).is_dir():
            raise KeyboardInterrupt

    monkeypatch.setattr(once.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        start(log)
    assert not (log[0].folder / "resume.ckpt").exists()
    monkeypatch.setattr(once.shutil, "rmtree", remove)
    for name in ("models", "metrics"):
        os.rename(name, f"old-{name}")
    start(log)
    assert len(log) == 2
    assert trainings(root) == [log[0].folder.name]


def test_a_process_beside_the_main_one_trains_without_a_lock(root, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    works = []
    train_once("teacher", {}, [Path("data")], OUTPUTS, works.append)
    assert works[0].run == ""
    assert not works[0].folder.exists()
