"""Temporary copies of this project as git and DVC repositories of their own, for tests that run the real thing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient
from ruamel.yaml import YAML

PROJECT = Path(__file__).parents[1]
COPIED = (
    "src",
    "stages",
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

STAGES = ["check", "ingest", "prepare", "augment", "teacher", "freeze", "baseline", "distill", "evaluate"]

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
    "student.arch": "shufflenet_v2_x0_5",
    "student.epochs": 2,
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
