"""What a model in the registry rests on: its score measured once more, what DVC ran to get it, and from which commit.

A score that stands in a file may belong to another model, and parameters that stand in params.yaml may not have been
run. So the chain is closed here: `dvc.lock` names the parameters and the bytes of evaluate.json, and evaluate.json must
say of this model, on this test split, what the model does.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError

from defectdistill.data.tables import flatten, read_json
from defectdistill.evaluation.held_out import Photographs
from defectdistill.tracking.git_state import git_state

LOCK = Path("dvc.lock")
# Another number of threads, or processor, moves probabilities by less; another model moves the loss by more.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Evidence:
    """The score and its name, how many test photographs and which, parameters, commit, MLflow's run (None: unknown)."""

    metric: str
    score: float
    test_images: int
    test_split: str
    params: dict[str, Any]
    commit: str | None
    dirty: bool
    run: str | None  # the key of the MLflow run that scored it


def gather(student: Path, evaluation: Path, test: Photographs, metric: str) -> Evidence:
    """Return the evidence for the checkpoint folder `student`, scored in the file `evaluation` (evaluate.json).

    Raises FileNotFoundError or ValueError that says what is missing, or does not belong together, and what to run.
    """
    params = evaluated_params(evaluation)
    scores = agreed_scores(student, evaluation, test)
    name = metric.removeprefix("test/")
    if name not in scores:
        raise ValueError(f"registry.metric = {metric!r}: {evaluation} has test/… {', '.join(sorted(scores))}")
    commit, changed = git_state()
    link = evaluation.parent / "runs" / "evaluate.json"
    run = read_json(link).get("run") if link.is_file() else None
    return Evidence(metric, scores[name], len(test.paths), test.fingerprint(), params, commit, bool(changed), run)


def agreed_scores(student: Path, evaluation: Path, test: Photographs) -> dict[str, float]:
    """Return the test scores of evaluate.json after measuring them again; raises ValueError where the two differ."""
    results = read_json(evaluation)
    measured = test.scores(student)
    try:
        stored = {name: float(results["student"]["test"][name]) for name in measured}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{evaluation} has no student/test/… {error} for {student}: run `dvc repro`") from error
    apart = [name for name in measured if abs(stored[name] - measured[name]) > TOLERANCE]
    if apart:
        name = "loss" if "loss" in apart else apart[0]
        raise ValueError(
            f"{evaluation} does not belong to {student} and these {len(test.paths)} test photographs: it says test/"
            f"{name} = {stored[name]:.6f}, measured now are {measured[name]:.6f}; run `dvc repro`"
        )
    return stored


def evaluated_params(evaluation: Path) -> dict[str, Any]:
    """Return {full name: value} of the parameters with which DVC made the file `evaluation`, from dvc.lock."""
    content = read(evaluation)
    try:
        entry = YAML(typ="safe", pure=True).load(read(LOCK))["stages"]["evaluate"]
        stored = {out["path"]: out["md5"] for out in entry["outs"]}[evaluation.as_posix()]
        params = flatten(entry["params"]["params.yaml"])
    except (YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{LOCK} does not say how {evaluation} was made ({error!r}): run `dvc repro`") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != stored:
        raise ValueError(f"{evaluation} is not the file that {LOCK} names: run `dvc repro`, or `dvc checkout`")
    return params


def read(path: Path) -> bytes:
    """Return the bytes of a file that a pipeline's run leaves; raises FileNotFoundError that says how to get it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro`, or get it with `dvc checkout`")
    return path.read_bytes()
