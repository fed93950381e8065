import threading

import pytest


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A repository root that is not the working directory, as under `dvc exp run --temp`."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(copy)
    yield tmp_path
    for thread in threading.enumerate():  # a sender that still tries must not wake up in the next test's repository
        if thread.name == "mlflow sender":
            thread.join(60)
