"""Where things live: what a stage reads, and what is no stage's output (at the main repository's root)."""

import argparse
import os
from pathlib import Path

MADE_BY = {"teacher": "teacher", "baseline": "baseline", "student": "distill"}  # name of a model's folder: its stage
CALIBRATION = Path("metrics/calibration.json")  # what `evaluate` found of temperature and threshold
PHOTOGRAPHS = Path("test/photographs.json")  # below data/prepared: the digest of all photographs and masks that came


def place(option: str, default: Path = Path()) -> Path:
    """Return the folder that a stage's command line gives with `option`, else `default`: the working directory.

    A pipeline in another folder reads with `--data` what was prepared elsewhere, with `--teacher` what was trained
    there; a stage writes into the working directory, and reads `params.yaml` there.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(option, type=Path, default=default, dest="folder")
    return parser.parse_known_args()[0].folder


def beside(model: Path, name: str) -> Path:
    """Return the file `name` that the training of a model left under metrics/, beside models/."""
    return model.parents[1] / "metrics" / MADE_BY[model.name] / name


def command_here() -> str:
    """Return the command that makes what is in this folder: that of the pipeline whose dvc.yaml is the nearest."""
    here = Path.cwd()
    folder = next((folder for folder in (here, *here.parents) if (folder / "dvc.yaml").is_file()), here)
    return f"make repro-{folder.name.replace('_', '-')}" if folder.parent.name == "pipelines" else "dvc repro"


def root() -> Path:
    """Return the main repository's root: what DVC says, also from inside a temporary copy, else what is around here.

    Under `dvc exp run --temp` and in the queue the working directory is a copy that is thrown away. `pipelines/` is a
    DVC repository inside the main one, whose MLflow store and scratch folder it shares. A stage that is started by hand
    may stand in a folder below; where no repository is around, the folder here is the root.
    """
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / ".dvc" / "config").is_file())
    found = Path(os.environ.get("DVC_ROOT") or next(around, here)).resolve()
    return found.parent if found.name == "pipelines" and (found.parent / ".dvc").is_dir() else found


def scratch() -> Path:
    """Return the untracked folder for what must outlive a kill, shared by all copies of a repository."""
    return root() / ".dvc" / "tmp" / "defectdistill"
