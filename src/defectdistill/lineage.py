"""Where a model comes from, and what came of it: read from the tags that every run in MLflow carries."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defectdistill import checkpoint
from defectdistill.tracking.store import EXPERIMENT, STAGES, connect, tracking_uri

MADE_BY = {"teacher": "teacher", "baseline": "baseline", "student": "distill"}  # name of a model: its stage
SHOWN = ("test/macro_f1", "test/accuracy", "baseline/test/macro_f1", "teacher/dice")


class Store:
    """The runs of an MLflow store, found by tags."""

    def __init__(self):
        self.client = connect()

    def runs(self, experiment: str, **tags: str) -> list[Any]:
        """Return the finished runs of an experiment with these tags, oldest first; `__` in a name stands for `/`."""
        wanted = [f"tags.`{name.replace('__', '/')}` = '{value}'" for name, value in tags.items()]
        folder = self.client.get_experiment_by_name(experiment).experiment_id
        query = " and ".join([*wanted, "attributes.status = 'FINISHED'"])
        return list(self.client.search_runs([folder], query, order_by=["attributes.start_time"]))


def lineage(folder: Path) -> Iterator[str]:
    """Yield the lines that say what a model was made of, and which scores and students came of it.

    `folder` is a checkpoint folder. Raises FileNotFoundError if it is none, ValueError if the store knows no run that
    made these very weights.
    """
    checkpoint.read_config(folder)
    content, store = checkpoint.content_hash(folder), Store()
    yield f"{folder}  sha256 {content}"
    for name, stage in MADE_BY.items():
        made = store.runs(STAGES, stage=stage, **{f"{name}__sha256": content})
        if made:
            yield from origin(store, made[0], stage)
            yield from outcome(store, name, content)
            return
    raise ValueError(
        f"{folder}: no finished run in {tracking_uri()} made these weights ({content[:12]}…); they are of another "
        "store (set MLFLOW_TRACKING_URI), or what their run reported was not sent yet (`defectdistill sync`)"
    )


def origin(store: Store, run: Any, stage: str, indent: str = "") -> Iterator[str]:
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
        for found in store.runs(STAGES, stage="teacher", teacher__sha256=teacher)[:1]:
            yield from origin(store, found, "teacher", indent + "          ")


def changes(tags: dict[str, str]) -> str:
    """Return in words whether the code that ran was the commit's."""
    if "git.changed" not in tags:
        return "no git there"
    changed = [line.strip() for line in tags["git.changed"].splitlines()]
    return f"changed since: {', '.join(changed)}" if changed else "unchanged"


def outcome(store: Store, name: str, content: str) -> Iterator[str]:
    """Yield the experiments that a model took part in, with their scores, and of a teacher its students."""
    for run in store.runs(EXPERIMENT, **{f"{name}__sha256": content}):
        scores = [f"{score} {run.data.metrics[score]:.4g}" for score in SHOWN if score in run.data.metrics]
        student = f", student sha256 {run.data.tags['student/sha256']}" if name == "teacher" else ""
        yield f"used in   {run.info.run_name} (MLflow run {run.info.run_id}): {', '.join(scores)}{student}"
