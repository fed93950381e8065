"""A real `mlflow server` with a database and an artifact store: written to by two processes, read in its own pages."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from browser import needs_chromium, opened
from mlflow import MlflowClient
from repository import environment, wait_for
from servers import free_port

EPOCHS = 20
STAGE = """
import sys
from pathlib import Path
from defectdistill.tracking.runs import experiment_run, stage_run
name, beta, f1, epochs = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
with stage_run("distill", {"distill.beta": beta}, required=True) as run:
    for epoch in range(epochs):
        run.log_epoch({"epoch": epoch, "val_loss": 1.0 / (1 + epoch) + beta, "train_loss": 0.9 / (1 + epoch)})
    Path("history.csv").write_text(name)
    run.log_artifacts("history.csv")
with experiment_run({"distill.beta": beta, "student.arch": "resnet18"}, required=True) as run:
    run.log_metrics({"test/macro_f1": f1})
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server, which stores artifacts itself."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    log = open(folder / "log", "w")  # noqa: SIM115 - open as long as the server writes
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"

    def answers():
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return urllib.request.urlopen(f"{address}/health", timeout=1).status == 200
        except OSError:
            return False

    wait_for(answers, "the server", 0.2, 120)
    yield address
    process.terminate()
    process.wait(20)
    log.close()


@pytest.fixture(scope="module")
def logged(server, tmp_path_factory):
    """Two processes with an experiment each, at once."""
    started = []
    for name, beta, f1 in (("beta-low", 0.1, 0.71), ("beta-high", 0.3, 0.83)):
        folder = tmp_path_factory.mktemp(name)
        variables = {"MLFLOW_TRACKING_URI": server, "DVC_EXP_NAME": name, "DVC_ROOT": str(folder)}
        arguments = [name, str(beta), str(f1), str(EPOCHS)]
        command = [sys.executable, "-c", STAGE, *arguments]
        started.append((subprocess.Popen(command, cwd=folder, env=environment(**variables)), folder))
    for process, folder in started:
        assert process.wait(120) == 0
        assert not list((folder / ".dvc/tmp/defectdistill/tracking").iterdir())  # nothing was kept back
    return MlflowClient(server)


def runs_of(client, experiment):
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.data.tags["dvc.experiment"]: run for run in found}


def test_two_processes_log_to_a_server(logged):
    for name, beta in (("beta-low", 0.1), ("beta-high", 0.3)):
        run = runs_of(logged, "defectdistill-stages")[name]
        assert (run.info.status, run.data.params["distill.beta"]) == ("FINISHED", str(beta))
        history = logged.get_metric_history(run.info.run_id, "val_loss")
        assert [entry.step for entry in history] == list(range(EPOCHS))
        assert [entry.value for entry in history] == pytest.approx([1 / (1 + epoch) + beta for epoch in range(EPOCHS)])
        assert [item.path for item in logged.list_artifacts(run.info.run_id)] == ["history.csv"]
        path = Path(logged.download_artifacts(run.info.run_id, "history.csv"))
        assert path.read_text() == name
        complete = runs_of(logged, "defectdistill")[name]
        assert complete.data.tags["stage/distill"] == run.info.run_id


@needs_chromium
def test_the_pages_compare_two_experiments_and_show_the_curves(server, logged):
    complete, stages = runs_of(logged, "defectdistill"), runs_of(logged, "defectdistill-stages")
    with opened() as page:
        page.goto(f"{server}/#{comparison('compare-runs', complete)}")
        for text in ("distill.beta", "0.1", "0.3", "test/macro_f1", "0.71", "0.83", "beta-low", "beta-high"):
            page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
        metric = "metric=%22val_loss%22&plot_metric_keys=[%22val_loss%22]&x_axis=step"
        page.goto(f"{server}/#{comparison('metric', stages)}&{metric}")
        page.locator(".js-plotly-plot .scatterlayer .trace").nth(1).wait_for(state="attached", timeout=60_000)
        drawn = page.locator(".js-plotly-plot").first.evaluate("plot => plot.data.map(t => [t.name, [...t.x]])")
    curves = {name: steps for name, steps in drawn if name}
    assert curves == {f"distill {name}": list(range(EPOCHS)) for name in ("beta-low", "beta-high")}


def comparison(page, runs):
    ids = json.dumps([run.info.run_id for run in runs.values()])
    experiment = json.dumps([next(iter(runs.values())).info.experiment_id])
    return f"/{page}?runs={ids}&experiments={experiment}"
