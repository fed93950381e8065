"""Temporary copies of this project as git and DVC repositories of their own, for tests that run the real thing."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[1]
COPIED = (
    "src",
    "stages",
    "pipelines",
    "data/source",
    "dvc.yaml",
    "params.yaml",
    "constraints.txt",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    ".dvc/.gitignore",
)
YAML_12 = YAML(typ="safe", pure=True)

STAGES = ["check", "ingest", "prepare", "augment", "teacher", "freeze", "baseline", "distill", "evaluate", "export"]

# The same pipeline on little data and with short training.
TINY = {
    "ingest.synthetic": {
        "seed": 0,
        "image_size": 64,
        "short_circuit": 5,
        "fire_induced_short_circuit": 5,
        "flame": 6,
        "unlabelled": 3,
    },
    "prepare.image_size": 64,
    "augment.copies": 1,
    "teacher.width": 2,
    "teacher.epochs": 2,
    "teacher.min_steps": 0,
    "student.arch": "small_cnn_12",  # few operations: what `export` traces, and the runtimes compile
    **{f"{section}.levels": [2, 4] for section in ("freeze", "distill")},
    "distill.hint_level": 4,
    "student.epochs": 2,
    "student.min_steps": 0,
    "student.lr": 0.0001,  # Adam makes whole steps of rounding errors: at a high rate two processes part from one
    "student.warmup": 1,
    "compute.precision": "fp32",
    "compute.threads": 1,
}


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a user who has activated the project's environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTEST_"))}
    clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    return clean | variables


def run(command: str, folder: Path, fails: bool = False, **variables: str) -> str:
    """Run a shell command in a repository; returns its output and raises with it if the exit status is unexpected."""
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=600
    )
    output = done.stdout + done.stderr
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{output[-6000:]}")
    return output


def set_params(folder: Path, changes: dict) -> None:
    """Change leaf keys of a repository's params.yaml."""
    path = folder / "params.yaml"
    values = YAML_12.load(path)
    for name, value in changes.items():
        *sections, key = name.split(".")
        section = values
        for part in sections:
            section = section[part]
        if key not in section:
            raise KeyError(name)
        section[key] = value
    YAML_12.dump(values, path)


def make_repository(folder: Path, changes: dict) -> Path:
    """Copy the project as it stands into `folder`, with changed parameters, committed."""
    for name in COPIED:
        source, target = PROJECT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    set_params(folder, changes)
    run("git init -q && git config user.name test && git config user.email test@example.com", folder)
    run("git add -A && git commit -qm start", folder)
    return folder


def store(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def runs(folder: Path, experiment: str = "defectdistill") -> list:
    client = store(folder)
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], order_by=["attributes.start_time"])


def executed(output: str) -> list[str]:
    """Return the stages that a dvc command ran, in order, from what it printed."""
    return re.findall(r"Running stage '([^']+)'", output)


def kill_in(folder: Path, stage: str, only_dvc: bool) -> None:
    """Start `dvc repro` and kill it, or it and all that it started, once a stage has trained an epoch."""
    dvc = subprocess.Popen(
        "exec dvc repro",
        shell=True,
        cwd=folder,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    trainings = folder / ".dvc/tmp/defectdistill/trainings"
    wait_for(lambda: dvc.poll() is not None or list(trainings.glob(f"{stage}-*/resume.ckpt")), "an epoch")
    assert dvc.poll() is None, "dvc ended before it was killed"
    (os.kill if only_dvc else os.killpg)(dvc.pid, signal.SIGKILL)
    dvc.wait()


def run_queue(folder: Path, jobs: int) -> None:
    """Run the queued experiments, `jobs` at a time, to the end of the last."""
    run(f"dvc queue start -j {jobs} > ../queue.log 2>&1", folder)  # the workers would hold a pipe open to their end
    wait_for(lambda: not re.search("Queued|Running", run("dvc queue status", folder)), "the queue's end", 5.0, 2400)
    assert "Failed" not in run("dvc queue status", folder)


def wait_for(reached: Callable[[], object], what: str, pause: float = 0.02, limit: float = 900.0) -> None:
    """Ask until it is so."""
    begin = time.monotonic()
    while not reached():
        assert time.monotonic() - begin < limit, f"waited {limit:.0f} s for {what}"
        time.sleep(pause)


def are_complete(folder: Path, betas: dict[str, str]) -> bool:
    """Whether each of the named experiments has one finished row with its beta, its scores and its report."""
    for name, beta in betas.items():
        (row,) = [entry for entry in runs(folder) if entry.info.run_name == name]
        assert (row.info.status, row.data.params["distill.beta"]) == ("FINISHED", beta)
        assert {"test/macro_f1", "baseline/test/macro_f1", "teacher/dice"} <= set(row.data.metrics)
        assert {f"stage/{stage}" for stage in STAGES[1:-2]} <= set(row.data.tags)
        names = {item.path for item in store(folder).list_artifacts(row.info.run_id)}
        assert {"report.html", "figures", "plots", "evaluate.json"} <= names
        assert Path(row.info.artifact_uri.removeprefix("file://")).is_relative_to(folder / "mlartifacts")
    return True


def outputs(folder: Path) -> dict[str, str]:
    """Return the hash of every output but the notes of MLflow's run ids."""
    files = [path for name in ("data", "models", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.parts[-2] != "runs"
    }
