"""The mirror in MLflow: one run a stage, and one complete run an experiment. DVC stays the truth of what ran.

The only module that imports mlflow, and only when a run starts. The store is an SQLite file at the repository's root
unless MLFLOW_TRACKING_URI says otherwise: DVC_ROOT, not the working directory, which under `dvc exp run --temp` and in
the queue is a copy that is thrown away.
"""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from defectdistill.params import flatten
from defectdistill.processes import is_main_process

# Set before the import, which reads them: no telemetry, and a dead server may cost seconds, not minutes.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}.items():
    os.environ.setdefault(_name, _value)

EXPERIMENT, STAGES = "defectdistill", "defectdistill-stages"
RUN_FOLDER = Path("metrics/runs")
METRICS_BATCH, PARAMS_BATCH = 1000, 100  # MLflow's limits for one call


class Run:
    """An MLflow run that is open: everything that a stage reports goes through it."""

    def __init__(self, client: Any, run_id: str, experiment_id: str):
        self.client, self.run_id, self.experiment_id = client, run_id, experiment_id

    def log_params(self, params: dict[str, Any]) -> None:
        """Log parameters under their full names."""
        from mlflow.entities import Param

        entries = [Param(allowed(name), str(value)) for name, value in params.items()]
        for start in range(0, len(entries), PARAMS_BATCH):
            self.client.log_batch(self.run_id, params=entries[start : start + PARAMS_BATCH])

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        """Log the metrics of one step in one call."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        entries = [Metric(allowed(name), float(value), now, step) for name, value in metrics.items()]
        for start in range(0, len(entries), METRICS_BATCH):
            self.client.log_batch(self.run_id, metrics=entries[start : start + METRICS_BATCH])

    def log_epoch(self, row: dict[str, float]) -> None:
        """Log a row of a training history at its epoch."""
        self.log_metrics({name: value for name, value in row.items() if name != "epoch"}, step=int(row["epoch"]))

    def log_artifact(self, path: Path) -> None:
        """Store a file, or the files of a folder, with the run."""
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), path.name)
        else:
            self.client.log_artifact(self.run_id, str(path))

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags."""
        for name, value in tags.items():
            self.client.set_tag(self.run_id, name, value)


class NoStore:
    """A client that takes every call and stores nothing: of the processes that train together one alone tracks."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **keywords: None


@contextmanager
def stage_run(stage: str, params: dict[str, Any]) -> Iterator[Run]:
    """Open the run of a stage, log its parameters, and close it as finished, failed or killed.

    What ran is noted in `metrics/runs/STAGE.json`, an output that no stage reads: DVC's cache brings it back with the
    stage's other outputs, so that a cached stage stays linked to the run that made it.
    """
    with open_run(STAGES, stage, stage) as run:
        run.log_params(params)
        yield run
    if is_main_process():
        write_link(stage, run)


@contextmanager
def experiment_run(params: dict[str, Any]) -> Iterator[Run]:
    """Open the complete run of an experiment: all parameters, and links to the stage runs that led to it."""
    with open_run(EXPERIMENT, experiment_name(), "evaluate") as run:
        run.log_params(params)
        links = {path.stem: json.loads(path.read_text()) for path in sorted(RUN_FOLDER.glob("*.json"))}
        links.pop("evaluate", None)
        run.set_tags({f"stage/{stage}": link["run_id"] for stage, link in links.items()})
        lines = [
            f"- [{stage}](#/experiments/{link['experiment_id']}/runs/{link['run_id']})" for stage, link in links.items()
        ]
        run.set_tags({"mlflow.note.content": "Stages of this experiment:\n\n" + "\n".join(lines)})
        yield run
    write_link("evaluate", run)


def allowed(name: str) -> str:
    """Replace what MLflow refuses in the name of a metric or parameter (a class may be called `scratch & dent`)."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def experiment_name() -> str:
    """Return the name of the DVC experiment that is running, or `workspace` for a plain `dvc repro`."""
    return os.environ.get("DVC_EXP_NAME") or "workspace"


def root() -> Path:
    """Return the main repository's root: what DVC says, also from inside a temporary copy, else the folder here."""
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def tracking_uri() -> str:
    """Return the store's address; a relative SQLite path is taken from the root."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    prefix = "sqlite:///"
    if uri.startswith(prefix) and not uri.startswith(prefix + "/"):
        return prefix + str(root() / uri.removeprefix(prefix))
    return uri


def connect() -> Any:
    """Return a client of the store, creating an SQLite store first: one process at a time, then in WAL mode."""
    from mlflow import MlflowClient

    uri = tracking_uri()
    if not uri.startswith("sqlite:///"):
        return MlflowClient(tracking_uri=uri)
    database = Path(uri.removeprefix("sqlite:///"))
    lock = root() / ".dvc" / "tmp" / "mlflow.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # two processes that create the same fresh store at once kill each other
        client = MlflowClient(tracking_uri=uri)
        for name in (EXPERIMENT, STAGES):
            if client.get_experiment_by_name(name) is None:
                client.create_experiment(name, artifact_location=(root() / "mlartifacts").as_uri())
                with sqlite3.connect(database) as connection:
                    connection.execute("PRAGMA journal_mode=WAL")  # three times faster with four writers
    return client


def experiment_id(client: Any, name: str) -> str:
    """Return the id of an MLflow experiment, creating it on a server that does not know it yet."""
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


@contextmanager
def open_run(experiment: str, name: str, stage: str) -> Iterator[Run]:
    """Open a run and close it with the status that the block's outcome gives."""
    if not is_main_process():
        yield Run(NoStore(), "", "")
        return
    client = connect()
    identifier = experiment_id(client, experiment)
    tags = {"mlflow.runName": name, "stage": stage, "dvc.experiment": experiment_name()}
    if revision := os.environ.get("DVC_EXP_BASELINE_REV"):
        tags["dvc.baseline"] = revision
    run = Run(client, client.create_run(identifier, tags=tags).info.run_id, identifier)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(run.run_id, status)


def write_link(stage: str, run: Run) -> None:
    """Note which run a stage's outputs come from."""
    RUN_FOLDER.mkdir(parents=True, exist_ok=True)
    link = {"run_id": run.run_id, "experiment_id": run.experiment_id}
    (RUN_FOLDER / f"{stage}.json").write_text(json.dumps(link, indent=2, sort_keys=True) + "\n")


def log_results(run: Run, results: dict[str, dict[str, Any]]) -> None:
    """Log what evaluate.json holds: the student's scores as test/macro_f1, all others under whose they are."""
    student = flatten(results["student"], separator="/")
    others = flatten(
        {owner: values for owner, values in results.items() if values and owner not in ("student", "data")},
        separator="/",
    )
    run.log_metrics(student | others)
    run.set_tags({f"data/{name}": str(value) for name, value in results["data"].items()})
