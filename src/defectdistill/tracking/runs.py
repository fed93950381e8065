"""The mirror in MLflow: one run a stage, and one complete run an experiment. DVC stays the truth of what ran.

A stage writes what it reports into a journal on disk; a thread sends that to the store (`sender.py`). Every run has a
key of our own, since MLflow's ids exist only once the store has answered.
"""

import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from defectdistill.data.tables import flatten
from defectdistill.processes import is_main_process
from defectdistill.tracking.git_state import git_state
from defectdistill.tracking.journal import Journal
from defectdistill.tracking.sender import Sender
from defectdistill.tracking.store import EXPERIMENT, ROWS, STAGES

RUN_FOLDER = Path("metrics/runs")
LATER = ("evaluate", "export")  # stages of which only an earlier experiment can have left a run by then
PER_CLASS = re.compile(r"/(f1|recall|precision|auc|confidence|entropy|dice|iou)/")


class Run:
    """An open run: everything that a stage reports goes through it."""

    def __init__(self, key: str, journal: Journal, sender: Sender, required: bool):
        self.key, self.journal, self.sender, self.required = key, journal, sender, required

    def log(self, **event: Any) -> None:
        """Write an event to the journal; raises Unreachable where tracking is required and the store is gone."""
        self.journal.append(**event)
        self.sender.tell()
        if self.required:
            self.sender.check()

    def log_params(self, params: dict[str, Any]) -> None:
        """Log parameters under their full names."""
        self.log(params={allowed(name): str(value) for name, value in params.items()})

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        """Log the metrics of one step."""
        self.log(metrics={allowed(name): float(value) for name, value in metrics.items()}, step=step)

    def log_epoch(self, row: dict[str, float]) -> None:
        """Log a row of a training history at its epoch."""
        self.log_metrics({name: value for name, value in row.items() if name != "epoch"}, step=int(row["epoch"]))

    def log_artifacts(self, *paths: str | Path) -> None:
        """Store files, and the files of folders, with the run."""
        for path in paths:
            self.journal.keep(Path(path))
        self.sender.tell()

    def set_tags(self, tags: dict[str, str]) -> None:
        """Set tags."""
        self.log(tags=tags)

    def log_lineage(
        self, data: dict[str, Any], models: Iterable[Path], photographs: dict[str, str] | None = None
    ) -> None:
        """Name what this run learned from and what it made: tags data/sha256 and NAME/sha256, and the data set.

        `data` is data/prepared/learned.json, or summary.json, which says more; `models` are checkpoint folders. A run
        that may read the test split gives its photographs.json too, for the tag raw/sha256: what every split is of.
        """
        from defectdistill.checkpoint import content_hash  # imports torch, which not every stage needs

        hashes = {model.name: content_hash(model) for model in models}
        hashes |= {"raw": photographs["sha256"]} if photographs else {}
        self.set_tags({f"{name}/sha256": value for name, value in {"data": data["sha256"], **hashes}.items()})
        self.log(dataset={key: data[key] for key in ("source", "sha256", "synthetic", "protocol", "counts")})


class NoRun:
    """Takes every call and stores nothing: of the processes that train together one alone tracks."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **keywords: None


@contextmanager
def stage_run(stage: str, params: dict[str, Any], required: bool = False, key: str | None = None) -> Iterator[Run]:
    """Open the run of a stage, log its parameters, and close it as finished, failed or killed.

    `key` goes on with the run of a process that was killed. `required` makes a store that does not answer an error.
    What ran is noted in `metrics/runs/STAGE.json`, an output that no stage reads: DVC's cache brings it back with the
    stage's other outputs, so that a cached stage stays linked to the run that made it.
    """
    with open_run(STAGES, f"{stage} {experiment_name()}", stage, required, key) as run:
        run.log_params(params)
        yield run
        if is_main_process():
            write_link(stage, run)


@contextmanager
def experiment_run(params: dict[str, Any], required: bool = False) -> Iterator[Run]:
    """Open the complete run of an experiment: all parameters, and links to the stage runs that led to it."""
    with open_run(EXPERIMENT, experiment_name(), "evaluate", required) as run:
        run.log_params(params)
        found = [path for path in sorted(RUN_FOLDER.glob("*.json")) if path.stem not in LATER]
        links = {path.stem: json.loads(path.read_text())["run"] for path in found}
        run.log(links=links)
        yield run
        write_link("evaluate", run)


def log_row(
    table: str, row: str, model: Path, params: dict[str, Any], scores: dict[str, float], required: bool = False
) -> None:
    """Mirror one training that a table compares with others: once, however often the table is made.

    Its key comes from the row, its settings, the content of its `model` and what that scored.
    """
    from defectdistill.checkpoint import content_hash  # imports torch, which not every stage needs

    facts = json.dumps([table, row, content_hash(model), params, scores], sort_keys=True, default=str)
    key = hashlib.sha256(facts.encode()).hexdigest()
    with open_run(ROWS, f"{table}: {row}", table, required, key) as run:
        run.log_params({"row": row, **params})
        run.log_metrics(scores)


def allowed(name: str) -> str:
    """Replace what MLflow refuses in the name of a metric or parameter (a class may be called `scratch & dent`)."""
    return re.sub(r"[^/\w.\- ]", "_", name)


def experiment_name() -> str:
    """Return the name of the DVC experiment that is running, or `workspace` for a plain `dvc repro`."""
    return os.environ.get("DVC_EXP_NAME") or "workspace"


def code_tags() -> dict[str, str]:
    """Return the commit of the checkout here, and which files differ from it; {} without git."""
    commit, changed = git_state()
    return {"mlflow.source.git.commit": commit, "git.changed": "\n".join(changed)[:1000]} if commit else {}


@contextmanager
def open_run(experiment: str, name: str, stage: str, required: bool, key: str | None = None) -> Iterator[Run]:
    """Open a run and close it with the status that the block's outcome gives."""
    if not is_main_process():
        yield NoRun()
        return
    tags = {"stage": stage, "dvc.experiment": experiment_name(), **code_tags()}
    if revision := os.environ.get("DVC_EXP_BASELINE_REV"):
        tags["dvc.baseline"] = revision
    key = key or uuid.uuid4().hex
    journal = Journal.start(key, stage, experiment, name, tags)
    journal.append(status="RUNNING")  # also for the run of a process that was killed
    sender = Sender(journal)
    sender.start()
    status = "FAILED"
    try:
        if required:
            sender.wait_for_answer()
        yield Run(key, journal, sender, required)
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the one into the other
        status = "KILLED"
        raise
    finally:
        journal.append(status=status)
        sender.close(required and status == "FINISHED")


def write_link(stage: str, run: Run) -> None:
    """Note which run a stage's outputs come from."""
    RUN_FOLDER.mkdir(parents=True, exist_ok=True)
    (RUN_FOLDER / f"{stage}.json").write_text(json.dumps({"run": run.key}) + "\n")


def log_results(run: Run, results: dict[str, dict[str, Any]]) -> None:
    """Log what evaluate.json holds: the student's scores as test/macro_f1, all others under whose they are.

    An interval becomes intervals/test/macro_f1/low and …/high; those of single classes stay in evaluate.json.
    """
    others = {owner: values for owner, values in results.items() if values and owner not in ("student", "data")}
    run.log_metrics(with_ends(flatten(results["student"], separator="/") | flatten(others, separator="/")))
    run.set_tags({f"data/{name}": str(value) for name, value in results["data"].items()})


def with_ends(values: dict[str, Any]) -> dict[str, float]:
    """Return the numbers by flat name with each interval [low, high] as two of them; intervals of classes left out."""
    flat: dict[str, float] = {}
    for name, value in values.items():
        if not isinstance(value, list):
            flat[name] = value
        elif not PER_CLASS.search(name):
            flat |= {f"{name}/low": value[0], f"{name}/high": value[1]}
    return flat
