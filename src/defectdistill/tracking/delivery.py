"""Send journals to the MLflow store: in order, each event once, whatever was killed or unreachable before."""

import contextlib
import json
from typing import Any

from defectdistill.tracking.journal import FINAL, Damaged, Journal, waiting
from defectdistill.tracking.store import STAGES, for_good

METRICS_BATCH, PARAMS_BATCH = 1000, 100  # MLflow's limits for one call
DIGEST = 36  # characters that MLflow keeps of a data set's digest
KEY = "defectdistill.run"  # the tag with a run's key: a run is found by it again after a kill
FAILURES = 3  # of journals, after which the store is taken for dead


class Missing(OSError):
    """A file that a journal names is gone: no store can take it, now or later."""


class Delivery:
    """Sends journals with one client of the store; `left_out` says in words what never will be sent."""

    def __init__(self, client: Any):
        self.client = client
        self.run_ids: dict[str, str] = {}
        self.created: set[str] = set()  # ids of the runs that began here
        self.steps: dict[tuple[str, str], set[int]] = {}  # of each run and metric, those that the store has
        self.left_out: list[str] = []

    def send(self, journal: Journal, final: bool = False) -> None:
        """Send what the store does not have yet; raises what the client raises, and can then be called again.

        `final`: its writer is gone, so a run without a last status was killed. Raises Damaged for a journal that cannot
        be read.
        """
        run, sent, (events, torn) = journal.run, journal.sent(), journal.read()
        run_id = self.run_id(run)
        for number, event in enumerate(events[sent:], sent + 1):
            try:
                if event.get("status") != "RUNNING" or not self.is_over(run_id, run["start"]):
                    self.apply(run_id, journal, event)
            except Missing as error:
                self.leave_out(f"an artifact of {run['name']} is missing: {error}")
            except Exception as error:
                if not for_good(error):
                    raise
                self.leave_out(f"MLflow refused an entry of {run['name']}: {error}")
            journal.mark_sent(number)
        for number in torn:
            self.leave_out(f"an entry of {run['name']} is torn: line {number} of {journal.folder / 'events.jsonl'}")
        is_open = final and not any(event.get("status") in FINAL for event in events)
        if is_open and not resumed(journal, run["key"]) and not self.is_over(run_id, run["start"]):
            self.client.set_terminated(run_id, "KILLED", events[-1]["time"] if events else run["start"])

    def leave_out(self, what: str) -> None:
        """Note once what never will be sent."""
        if what not in self.left_out:
            self.left_out.append(what)

    def is_over(self, run_id: str, start: int) -> bool:
        """Whether the store says that a run ended after a journal of it began at `start` (ms): a later one ended it."""
        info = self.client.get_run(run_id).info
        return info.status in FINAL and info.end_time is not None and info.end_time > start

    def run_id(self, run: dict[str, Any]) -> str:
        """Return the id of the run with a journal's key, creating the run at the first call."""
        if run["key"] not in self.run_ids:
            found = self.find(run["experiment"], run["key"])
            if found is None:
                tags = {"mlflow.runName": run["name"], KEY: run["key"], **run["tags"]}
                created = self.client.create_run(self.experiment_id(run["experiment"]), run["start"], tags)
                found = created.info.run_id
                self.created.add(found)
            self.run_ids[run["key"]] = found
        return self.run_ids[run["key"]]

    def experiment_id(self, name: str) -> str:
        """Return the id of an experiment, which `connect` has made."""
        return self.client.get_experiment_by_name(name).experiment_id

    def find(self, experiment: str, key: str) -> str | None:
        """Return the id of the run with a key, None where the store has none."""
        found = self.client.search_runs([self.experiment_id(experiment)], f"tags.`{KEY}` = '{key}'", max_results=1)
        return found[0].info.run_id if found else None

    def apply(self, run_id: str, journal: Journal, event: dict[str, Any]) -> None:
        """Send one event."""
        for name, value in event.items():
            if name == "params":
                self.log_params(run_id, value)
            elif name == "metrics":
                self.log_metrics(run_id, value, event["step"], event["time"])
            elif name == "tags":
                self.set_tags(run_id, value)
            elif name == "links":
                self.link(run_id, value)
            elif name == "dataset":
                self.log_dataset(run_id, value)
            elif name == "artifact":
                self.log_artifact(run_id, journal, value)
            elif name == "status" and value in FINAL:
                self.client.set_terminated(run_id, value, event["time"])
            elif name == "status":
                self.client.update_run(run_id, status=value)

    def log_params(self, run_id: str, params: dict[str, str]) -> None:
        """Log parameters; the same again is no error."""
        from mlflow.entities import Param

        entries = [Param(name, value) for name, value in params.items()]
        for start in range(0, len(entries), PARAMS_BATCH):
            self.client.log_batch(run_id, params=entries[start : start + PARAMS_BATCH])

    def log_metrics(self, run_id: str, metrics: dict[str, float], step: int, time: int) -> None:
        """Log the metrics of one step that the store does not have of that step yet."""
        from mlflow.entities import Metric

        entries = [
            Metric(name, value, time, step) for name, value in metrics.items() if step not in self.known(run_id, name)
        ]
        for start in range(0, len(entries), METRICS_BATCH):
            self.client.log_batch(run_id, metrics=entries[start : start + METRICS_BATCH])
        for entry in entries:
            self.known(run_id, entry.key).add(step)

    def known(self, run_id: str, name: str) -> set[int]:
        """Return the steps that the store has of a metric; of a run that began here it need not be asked."""
        if (run_id, name) not in self.steps:
            history = [] if run_id in self.created else self.client.get_metric_history(run_id, name)
            self.steps[run_id, name] = {entry.step for entry in history}
        return self.steps[run_id, name]

    def set_tags(self, run_id: str, tags: dict[str, str]) -> None:
        """Set tags in one call."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def log_dataset(self, run_id: str, facts: dict[str, Any]) -> None:
        """Note the data set that a run learned from, as MLflow shows data sets."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = json.dumps({"images": facts["counts"], "protocol": facts["protocol"]})
        digest = facts["sha256"][:DIGEST]
        source = json.dumps({"source": facts["source"], "synthetic": facts["synthetic"], "sha256": facts["sha256"]})
        dataset = Dataset(facts["source"], digest, "defectdistill", source, profile=profile)
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def link(self, run_id: str, stages: dict[str, str]) -> None:
        """Link an experiment's run to the stage runs with the given keys, as far as this store has them."""
        found = {stage: self.find(STAGES, key) for stage, key in stages.items()}
        experiment = self.experiment_id(STAGES)
        lines = [f"- [{stage}](#/experiments/{experiment}/runs/{link})" for stage, link in found.items() if link]
        tags = {f"stage/{stage}": link for stage, link in found.items() if link}
        self.set_tags(run_id, tags | {"mlflow.note.content": "Stages of this experiment:\n\n" + "\n".join(lines)})

    def log_artifact(self, run_id: str, journal: Journal, name: str) -> None:
        """Store a file, or the files of a folder, with the run; raises Missing where it is gone."""
        path = journal.folder / "artifacts" / name
        if not path.exists():
            raise Missing(path)
        if path.is_dir():
            self.client.log_artifacts(run_id, str(path), path.name)
        else:
            self.client.log_artifact(run_id, str(path))


def resumed(journal: Journal, key: str) -> bool:
    """Whether another process goes on with a run: its journal is a later one."""
    for other in waiting():
        with contextlib.suppress(FileNotFoundError, Damaged):  # sent and removed just now, or no journal of anybody's
            if other.folder > journal.folder and other.run["key"] == key:
                return True
    return False


def deliver_left(delivery: Delivery) -> int:
    """Send the journals whose writers are gone, oldest first, and remove what was sent whole; returns how many.

    One that cannot be read is put aside, so that it holds up no other. Where the store fails with one, the next are
    tried, until it has failed with `FAILURES`; then the first error is raised.
    """
    done, failures = 0, []
    for journal in waiting():
        if journal.take():
            try:
                delivery.send(journal, final=True)
                journal.remove()
                done += 1
            except Damaged as error:
                delivery.leave_out(f"a run of which nothing can be sent: {error}; it is kept in {journal.put_aside()}")
            except Exception as error:  # a store may fail in any way
                failures.append(error)
            finally:
                journal.lock.release()
        if len(failures) == FAILURES:
            break
    if failures:
        raise failures[0]
    return done
