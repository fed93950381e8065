"""Reading an SQLite store as a test sees it from outside."""

from mlflow import MlflowClient


def client(store):
    return MlflowClient(f"sqlite:///{store}/mlflow.db")


def all_runs(store):
    experiments = [experiment.experiment_id for experiment in client(store).search_experiments()]
    return client(store).search_runs(experiments)


def stored(store, key):
    """Return the one run with a key of ours."""
    (found,) = [run for run in all_runs(store) if run.data.tags.get("defectdistill.run") == key]
    return found
