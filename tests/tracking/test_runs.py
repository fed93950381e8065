import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tracking_cases import all_runs, client, stored

from defectdistill import checkpoint
from defectdistill.models.students import classifier_config
from defectdistill.tracking.git_state import git_state
from defectdistill.tracking.runs import experiment_run, log_results, log_row, stage_run
from defectdistill.tracking.sender import send_left
from defectdistill.tracking.store import STAGES, connect, reader, tracking_uri


def test_runs_end_in_the_store_at_the_root_with_their_artifacts(store):
    Path("figure.txt").write_text("x")
    Path("plots").mkdir()
    Path("plots/a.csv").write_text("y")
    with stage_run("teacher", {"teacher.lr": 0.001}) as run:
        run.log_epoch({"epoch": 0, "val_dice": 0.5})
        run.log_epoch({"epoch": 1, "val_dice": 0.75})
        run.log_artifacts(Path("figure.txt"))
        run.log_artifacts(Path("plots"))
    done = stored(store, run.key)
    assert done.info.status == "FINISHED"
    assert done.info.run_name == "teacher workspace"
    assert done.data.params == {"teacher.lr": "0.001"}
    history = client(store).get_metric_history(done.info.run_id, "val_dice")
    assert [(metric.step, metric.value) for metric in history] == [(0, 0.5), (1, 0.75)]
    artifacts = {path.name for path in (store / "mlartifacts").rglob("*") if path.is_file()}
    assert artifacts == {"figure.txt", "a.csv"}
    assert not list(Path.cwd().glob("ml*"))


def test_a_stage_notes_its_run_beside_its_outputs(store):
    with stage_run("freeze", {}) as run:
        pass
    link = json.loads(Path("metrics/runs/freeze.json").read_text())
    assert link == {"run": run.key}


def test_the_complete_run_has_all_params_scores_and_links(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "vital-ibex")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "a" * 40)
    with stage_run("teacher", {}) as teacher:
        pass
    with experiment_run({"distill.beta": 0.3, "student.arch": "resnet18"}) as run:
        results = {
            "student": {"test": {"macro_f1": 0.9}, "unlabelled": {"average_entropy": 0.2}},
            "baseline": {"test": {"macro_f1": 0.8}},
            "teacher": {"dice": 0.7},
            "data": {"source": "synthetic", "synthetic": True, "test_images": 17},
        }
        log_results(run, results)
    done = stored(store, run.key)
    assert done.info.run_name == "vital-ibex"
    assert done.data.params == {"distill.beta": "0.3", "student.arch": "resnet18"}
    assert done.data.metrics == {
        "test/macro_f1": 0.9,
        "unlabelled/average_entropy": 0.2,
        "baseline/test/macro_f1": 0.8,
        "teacher/dice": 0.7,
    }
    assert done.data.tags["data/synthetic"] == "True"
    assert done.data.tags["stage/teacher"] == stored(store, teacher.key).info.run_id
    assert f"runs/{stored(store, teacher.key).info.run_id}" in done.data.tags["mlflow.note.content"]
    assert done.data.tags["dvc.baseline"] == "a" * 40


def test_names_that_mlflow_refuses_are_mended_and_many_params_are_sent_in_parts(store):
    with stage_run("ingest", {f"table.dent ({n})": n for n in range(150)}) as run:
        run.log_metrics({"images/scratch & dent": 7})
    data = stored(store, run.key).data
    assert data.metrics == {"images/scratch _ dent": 7}
    assert len(data.params) == 150
    assert data.params["table.dent _3_"] == "3"


def test_scores_that_are_missing_are_left_out(store):
    results = {"student": {"test": {"macro_f1": 0.5}}, "teacher": {}, "data": {"source": "folder"}}
    with experiment_run({}) as run:
        log_results(run, results)
    assert stored(store, run.key).data.metrics == {"test/macro_f1": 0.5}


def test_an_interval_is_two_metrics_and_those_of_classes_stay_in_the_file(store):
    ends = {"test": {"macro_f1": [0.4, 0.6], "f1/flame": [0.1, 0.9]}}
    results = {
        "student": {"test": {"macro_f1": 0.5, "f1/flame": 0.5}, "intervals": ends},
        "difference": {"macro_f1": 0.1, "intervals": {"macro_f1": [-0.1, 0.3], "auc/flame": [0.0, 0.1]}},
        "data": {"source": "folder"},
    }
    with experiment_run({}) as run:
        log_results(run, results)
    assert stored(store, run.key).data.metrics == {
        "test/macro_f1": 0.5,
        "test/f1/flame": 0.5,
        "intervals/test/macro_f1/low": 0.4,
        "intervals/test/macro_f1/high": 0.6,
        "difference/macro_f1": 0.1,
        "difference/intervals/macro_f1/low": -0.1,
        "difference/intervals/macro_f1/high": 0.3,
    }


def test_a_failed_stage_leaves_a_failed_run_and_no_link(store):
    with pytest.raises(RuntimeError, match="out of copper"), stage_run("teacher", {}) as run:
        raise RuntimeError("out of copper")
    assert stored(store, run.key).info.status == "FAILED"
    assert not Path("metrics/runs/teacher.json").exists()


def test_an_interrupted_stage_is_marked_killed(store):
    with pytest.raises(KeyboardInterrupt), stage_run("teacher", {}) as run:
        raise KeyboardInterrupt
    assert stored(store, run.key).info.status == "KILLED"


def test_the_sqlite_store_takes_several_writers(store):
    with stage_run("check", {}):
        pass
    with sqlite3.connect(store / "mlflow.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "sqlite:///{root}/mlflow.db"),
        ("sqlite:///team/runs.db", "sqlite:///{root}/team/runs.db"),
        ("sqlite:////absolute/runs.db", "sqlite:////absolute/runs.db"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_relative_stores_are_anchored_at_the_root(store, monkeypatch, given, expected):
    if given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert tracking_uri() == expected.format(root=store)


def test_telemetry_is_off():
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "true"


def test_a_plain_repro_is_called_workspace(store):
    with experiment_run({}) as run:
        pass
    assert stored(store, run.key).info.run_name == "workspace"


def test_a_run_names_the_commit_and_what_differs_from_it(store):
    for command in ("init -q", "config user.name t", "config user.email t@example.com", "add .", "commit -qm start"):
        Path("params.yaml").write_text("a: 1\n")
        Path("dvc.lock").write_text("1")
        subprocess.run(["git", *command.split()], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for changed in ("", " M params.yaml\n?? new.py"):
        Path("dvc.lock").write_text("a run writes it")
        if changed:
            Path("params.yaml").write_text("a: 2\n")
            Path("new.py").touch()
        with stage_run("freeze", {}) as run:
            pass
        tags = stored(store, run.key).data.tags
        assert (tags["mlflow.source.git.commit"], tags["git.changed"]) == (commit, changed)
        subprocess.run(["git", "clean", "-qfd", "metrics"], check=True)


@pytest.mark.parametrize("quoted", ["true", "false"])
def test_a_name_that_is_not_utf_8_is_noted_escaped_however_git_prints_it(store, quoted):
    for command in ("init -q", f"config core.quotePath {quoted}", "config user.name t", "config user.email t@a.b",
                    "commit -qm start --allow-empty"):  # fmt: skip
        subprocess.run(["git", *command.split()], check=True)
    Path(os.fsdecode(b"Pr\xfcfung.txt")).touch()
    with stage_run("freeze", {}) as run:
        pass
    noted = stored(store, run.key).data.tags["git.changed"]
    assert noted == ('?? "Pr\\374fung.txt"' if quoted == "true" else r"?? Pr\xfcfung.txt")


def test_a_file_that_was_changed_elsewhere_in_the_repository_counts(tmp_path, monkeypatch):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=tmp_path, check=True)

    below = tmp_path / "pipelines/cable_paper/run"
    for folder in ("src", "pipelines/cable_paper/run"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file.py").write_text("1")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    for name in ("dvc.lock", "pipelines/cable_paper/dvc.lock", "pipelines/cable_paper/run/dvc.lock"):
        (tmp_path / name).write_text("a run writes it")
    monkeypatch.chdir(below)
    assert git_state()[1] == []
    (tmp_path / "src/file.py").write_text("2")
    assert git_state()[1] == [" M src/file.py"]


def test_an_experiment_is_not_linked_to_the_export_of_the_one_before(store):
    """`evaluate` runs before `export`: what lies there is of an earlier experiment."""
    for stage in ("distill", "export"):
        with stage_run(stage, {}):
            pass
    with experiment_run({}) as run:
        pass
    links = {name for name in stored(store, run.key).data.tags if name.startswith("stage/")}
    assert links == {"stage/distill"}


def test_an_mlflow_that_cannot_be_imported_keeps_what_was_measured(store, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with stage_run("prepare", {}) as run:
        run.log_metrics({"images": 3})
    assert "did not take everything" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("DVC_ROOT", str(store))
    assert send_left()[0] == 1
    assert stored(store, run.key).data.metrics == {"images": 3}


def test_the_same_training_of_a_table_is_one_run_however_often_the_table_is_made(store):
    weights = {"fc.weight": torch.zeros(2, 3)}
    config = classifier_config("small_cnn_3", ["a", "b"], 32, "pad")
    checkpoint.save(Path("model"), weights, config)
    for accuracy in (0.5, 0.5, 0.75):  # the last on other test images
        log_row("ablation", "mse", Path("model"), {"student.seed": 0}, {"test/accuracy": accuracy})
    log_row("ablation", "mse", Path("model"), {"student.seed": 1}, {"test/accuracy": 0.5})
    checkpoint.save(Path("model"), {"fc.weight": torch.ones(2, 3)}, config)
    log_row("ablation", "mse", Path("model"), {"student.seed": 0}, {"test/accuracy": 0.5})
    found = sorted((run.data.params["student.seed"], run.data.metrics["test/accuracy"]) for run in all_runs(store))
    assert found == [("0", 0.5), ("0", 0.5), ("0", 0.75), ("1", 0.5)]
    assert {run.info.run_name for run in all_runs(store)} == {"ablation: mse"}


def test_a_database_keeps_its_artifacts_at_the_root_not_in_the_copy_of_an_experiment(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite+pysqlite:///{store}/team.db")  # as postgresql:// would be
    found = connect().get_experiment_by_name(STAGES)
    assert found.artifact_location.startswith((store / "mlartifacts").as_uri())


def test_an_sqlite_store_may_have_options(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mine.db?timeout=30")
    connect()
    reader()
    assert [path.name for path in store.glob("mine.db*") if "-" not in path.name] == ["mine.db"]
