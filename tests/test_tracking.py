import json
import sqlite3
from pathlib import Path

import pytest
from mlflow import MlflowClient

from defectdistill import tracking


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A repository root that is not the working directory, as under `dvc exp run --temp`."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(copy)
    return tmp_path


def client(store):
    return MlflowClient(f"sqlite:///{store}/mlflow.db")


def test_runs_end_in_the_store_at_the_root_with_their_artifacts(store):
    Path("figure.txt").write_text("x")
    Path("plots").mkdir()
    Path("plots/a.csv").write_text("y")
    with tracking.stage_run("teacher", {"teacher.lr": 0.001}) as run:
        run.log_epoch({"epoch": 0, "val_dice": 0.5})
        run.log_epoch({"epoch": 1, "val_dice": 0.75})
        run.log_artifact(Path("figure.txt"))
        run.log_artifact(Path("plots"))
    stored = client(store).get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "teacher"
    assert stored.data.params == {"teacher.lr": "0.001"}
    history = client(store).get_metric_history(run.run_id, "val_dice")
    assert [(metric.step, metric.value) for metric in history] == [(0, 0.5), (1, 0.75)]
    artifacts = {path.name for path in (store / "mlartifacts").rglob("*") if path.is_file()}
    assert artifacts == {"figure.txt", "a.csv"}
    assert not list(Path.cwd().glob("ml*"))


def test_a_stage_notes_its_run_beside_its_outputs(store):
    with tracking.stage_run("freeze", {}) as run:
        pass
    link = json.loads(Path("metrics/runs/freeze.json").read_text())
    assert link == {"run_id": run.run_id, "experiment_id": run.experiment_id}


def test_the_complete_run_has_all_params_scores_and_links(store, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "vital-ibex")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "a" * 40)
    with tracking.stage_run("teacher", {}) as teacher:
        pass
    with tracking.experiment_run({"distill.beta": 0.3, "student.arch": "resnet18"}) as run:
        results = {
            "student": {"test": {"macro_f1": 0.9}, "unlabelled": {"average_entropy": 0.2}},
            "baseline": {"test": {"macro_f1": 0.8}},
            "teacher": {"dice": 0.7},
            "data": {"source": "synthetic", "synthetic": True, "test_images": 17},
        }
        tracking.log_results(run, results)
    stored = client(store).get_run(run.run_id)
    assert stored.info.run_name == "vital-ibex"
    assert stored.data.params == {"distill.beta": "0.3", "student.arch": "resnet18"}
    assert stored.data.metrics == {
        "test/macro_f1": 0.9,
        "unlabelled/average_entropy": 0.2,
        "baseline/test/macro_f1": 0.8,
        "teacher/dice": 0.7,
    }
    assert stored.data.tags["data/synthetic"] == "True"
    assert stored.data.tags["stage/teacher"] == teacher.run_id
    assert f"runs/{teacher.run_id}" in stored.data.tags["mlflow.note.content"]
    assert stored.data.tags["dvc.baseline"] == "a" * 40


def test_names_that_mlflow_refuses_are_mended_and_many_params_are_sent_in_parts(store):
    with tracking.stage_run("ingest", {f"table.dent ({n})": n for n in range(150)}) as run:
        run.log_metrics({"images/scratch & dent": 7})
    stored = client(store).get_run(run.run_id).data
    assert stored.metrics == {"images/scratch _ dent": 7}
    assert len(stored.params) == 150
    assert stored.params["table.dent _3_"] == "3"


def test_scores_that_are_missing_are_left_out(store):
    results = {"student": {"test": {"macro_f1": 0.5}}, "teacher": {}, "data": {"source": "folder"}}
    with tracking.experiment_run({}) as run:
        tracking.log_results(run, results)
    assert client(store).get_run(run.run_id).data.metrics == {"test/macro_f1": 0.5}


def test_a_failed_stage_leaves_a_failed_run_and_no_link(store):
    with pytest.raises(RuntimeError, match="out of copper"), tracking.stage_run("teacher", {}) as run:
        raise RuntimeError("out of copper")
    assert client(store).get_run(run.run_id).info.status == "FAILED"
    assert not Path("metrics/runs/teacher.json").exists()


def test_an_interrupted_stage_is_marked_killed(store):
    with pytest.raises(KeyboardInterrupt), tracking.stage_run("teacher", {}) as run:
        raise KeyboardInterrupt
    assert client(store).get_run(run.run_id).info.status == "KILLED"


def test_the_sqlite_store_takes_several_writers(store):
    with tracking.stage_run("check", {}):
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
    assert tracking.tracking_uri() == expected.format(root=store)


def test_telemetry_is_off():
    import os

    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["DO_NOT_TRACK"] == "true"


def test_a_plain_repro_is_called_workspace(store):
    with tracking.experiment_run({}) as run:
        pass
    assert client(store).get_run(run.run_id).info.run_name == "workspace"
