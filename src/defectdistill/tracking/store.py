"""The MLflow store: where it is, and a client of it. The only module of the stages that imports mlflow.

The store is an SQLite file at the repository's root unless MLFLOW_TRACKING_URI says otherwise.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from filelock import FileLock

from defectdistill.addresses import without_password
from defectdistill.places import root, scratch

# Set before the import, which reads them: no telemetry, and a dead server may cost seconds, not minutes.
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_CHOSEN = TIMEOUT in os.environ  # by the user
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    TIMEOUT: "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)

LONGER = "60"  # seconds for a command that holds up no training: an artifact that goes on to S3, a page of many runs
RUNS_AT_ONCE = 100  # with some hundred metrics each
LATER = (401, 403, 408, 429)  # HTTP statuses that may be another tomorrow; other 4xx will not
EXPERIMENT, STAGES, ROWS = "defectdistill", "defectdistill-stages", "defectdistill-rows"
SQLITE = "sqlite:///"
SERVERS = ("http://", "https://", "databricks", "uc:")


def tracking_uri() -> str:
    """Return the store's address; a relative SQLite path is taken from the root."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if uri.startswith(SQLITE) and not uri.startswith(SQLITE + "/"):
        return SQLITE + str(root() / uri.removeprefix(SQLITE))
    return uri


def _file_of(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE).split("?")[0])


def shown_uri() -> str:
    """Return the store's address as it may be printed."""
    return without_password(tracking_uri())


def first_line(error: Exception) -> str:
    """Return an error's message without what database libraries add to it, and without passwords."""
    return without_password(str(error).split("\n")[0]) or type(error).__name__


def wait_longer() -> None:
    """Give the server a minute for an answer from here on, unless the user said how long it has."""
    if not _CHOSEN:
        os.environ[TIMEOUT] = LONGER


@contextmanager
def first_call() -> Iterator[None]:
    """Raise ValueError, saying what to do, where the store does not answer the calls within."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise ValueError(
            f"the MLflow store at {shown_uri()} does not answer: {first_line(error)}; start the server, or set "
            "MLFLOW_TRACKING_URI to another"
        ) from error


def words_of_a_store(error: Exception) -> str | None:
    """Return what a person is told of an error that MLflow raised in the middle of a command; None for another one."""
    if "mlflow" not in sys.modules:  # seconds to import
        return None
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    if not isinstance(error, MlflowException | RequestException):
        return None
    return f"the MLflow store at {shown_uri()} failed ({first_line(error)}): see to it, and run the same command again"


def for_good(error: Exception) -> bool:
    """Whether the store refuses an event and always will: sending it again would hold up all others."""
    from mlflow.exceptions import MlflowException
    from requests import HTTPError  # what sends artifacts raises these

    status = 500
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
    elif isinstance(error, HTTPError) and error.response is not None:
        status = error.response.status_code
    return 400 <= status < 500 and status not in LATER


def is_local() -> bool:
    """Whether the store is a file here, which answers at once or not at all."""
    return tracking_uri().startswith(SQLITE)


def connect() -> Any:
    """Return a client of the store with all experiments there, creating an SQLite store one process at a time."""
    from mlflow import MlflowClient

    uri = tracking_uri()
    if not is_local():
        client = MlflowClient(tracking_uri=uri)
        # A server keeps artifacts itself; a database has no place for them.
        make_experiments(client, None if uri.startswith(SERVERS) else (root() / "mlartifacts").as_uri())
        return client
    database = _file_of(uri)
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(scratch() / "locks" / "mlflow"):  # two that create a fresh store at once fail
        client = MlflowClient(tracking_uri=uri)
        if make_experiments(client, (root() / "mlartifacts").as_uri()):
            with sqlite3.connect(database) as connection:
                connection.execute("PRAGMA journal_mode=WAL")  # three times faster with four writers
    return client


def reader() -> Any:
    """Return a client that only asks: nothing is created.

    Raises ValueError for an SQLite store that is not there, and for a store that does not answer.
    """
    from mlflow import MlflowClient

    uri = tracking_uri()
    if is_local() and not _file_of(uri).is_file():
        raise ValueError(
            f"{uri}: there is no such store: run `dvc repro` in the project's folder, or set MLFLOW_TRACKING_URI"
        )
    with first_call():
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    wait_longer()
    return client


def finished_runs(client: Any, experiment: str, tags: Mapping[str, str] = MappingProxyType({})) -> Iterator[Any]:
    """Yield the finished runs of an experiment that carry these tags, oldest first, however many there are."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return
    wanted = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    query = " and ".join([*wanted, "attributes.status = 'FINISHED'"])
    folder, token = found.experiment_id, None
    while True:
        order = ["attributes.start_time"]
        page = client.search_runs([folder], query, max_results=RUNS_AT_ONCE, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def make_experiments(client: Any, artifacts: str | None) -> bool:
    """Create the experiments that are missing and restore those that were deleted; whether one was created."""
    from mlflow.exceptions import MlflowException

    created = False
    for name in (EXPERIMENT, STAGES, ROWS):
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                client.create_experiment(name, artifact_location=artifacts)
            except MlflowException:
                if client.get_experiment_by_name(name) is None:
                    raise  # else another process was faster
            created = True
        elif found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
    return created
