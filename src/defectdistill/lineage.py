"""Where a model comes from, and what came of it: read from the tags that every run in MLflow carries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defectdistill import checkpoint
from defectdistill.places import MADE_BY
from defectdistill.tracking.store import EXPERIMENT, STAGES, finished_runs, reader, shown_uri

SHOWN = (
    *("test/macro_f1", "test/accuracy", "baseline/test/macro_f1", "teacher/dice"),
    *("test/mean_dice", "baseline/test/mean_dice", "teacher/mean_dice"),  # of students that segment
)


def lineage(folder: Path) -> Iterator[str]:
    """Yield the lines that say what a model was made of, and which scores and students came of it.

    `folder` is a checkpoint folder. Raises FileNotFoundError if it is none, ValueError if the store knows no run that
    made these very weights.
    """
    checkpoint.read_config(folder)
    content, client = checkpoint.content_hash(folder), reader()
    yield f"{folder}  sha256 {content}"
    for name, stage in MADE_BY.items():
        made = next(finished_runs(client, STAGES, {"stage": stage, f"{name}/sha256": content}), None)
        if made:
            yield from origin(client, made, stage)
            yield from outcome(client, name, content)
            return
    raise ValueError(
        f"{folder}: no finished run in {shown_uri()} made these weights ({content[:12]}…); they are of another "
        "store (set MLFLOW_TRACKING_URI), or what their run reported was not sent yet (`defectdistill sync`)"
    )


def origin(client: Any, run: Any, stage: str, indent: str = "") -> Iterator[str]:
    """Yield what a training run was made of: data, code, parameters, and its teacher's origin."""
    tags = run.data.tags
    yield f"{indent}made by   stage {stage}, MLflow run {run.info.run_id}, DVC experiment {tags['dvc.experiment']}"
    yield f"{indent}code      commit {tags.get('mlflow.source.git.commit', 'unknown')}, {changes(tags)}"
    data = run.inputs.dataset_inputs[0].dataset
    yield f"{indent}data      sha256 {tags['data/sha256']}, {data.profile}"
    params = ", ".join(f"{name}={value}" for name, value in sorted(run.data.params.items()))
    yield f"{indent}params    {params}"
    if stage == "distill":
        teacher = tags["teacher/sha256"]
        yield f"{indent}teacher   sha256 {teacher}"
        found = next(finished_runs(client, STAGES, {"stage": "teacher", "teacher/sha256": teacher}), None)
        if found:
            yield from origin(client, found, "teacher", indent + "          ")


def changes(tags: dict[str, str]) -> str:
    """Return in words whether the code that ran was the commit's."""
    if "git.changed" not in tags:
        return "no git there"
    changed = [line.strip() for line in tags["git.changed"].splitlines()]
    return f"changed since: {', '.join(changed)}" if changed else "unchanged"


def outcome(client: Any, name: str, content: str) -> Iterator[str]:
    """Yield the experiments that a model took part in, with their scores, and of a teacher its students."""
    for run in finished_runs(client, EXPERIMENT, {f"{name}/sha256": content}):
        scores = [f"{score} {run.data.metrics[score]:.4g}" for score in SHOWN if score in run.data.metrics]
        student = f", student sha256 {run.data.tags['student/sha256']}" if name == "teacher" else ""
        yield f"used in   {run.info.run_name} (MLflow run {run.info.run_id}): {', '.join(scores)}{student}"
