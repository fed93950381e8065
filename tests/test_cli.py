"""The command line itself; what each command does is tested beside its module."""

import subprocess
import sys
import threading
import time
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import requests
from mlflow.exceptions import MlflowException
from repository import environment

from defectdistill import cli
from defectdistill import share as team
from defectdistill.stage import alone

HELP = """
import sys
from defectdistill.cli import main
sys.argv = ["defectdistill", *{words}]
try:
    main()
except SystemExit as ended:
    print(ended.code, sorted({{"torch", "numpy", "PIL", "mlflow", "gradio", "ray"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["app", "--help"]])
def test_help_comes_at_once_nothing_large_is_imported_for_it(words):
    done = subprocess.run([sys.executable, "-c", HELP.format(words=words)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert "Usage: defectdistill" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--help"], 0, "Usage"),
        (["-h"], 0, "Usage"),
        (["--version"], 0, version("defectdistill")),
        (["lineage", "--help"], 0, "Usage"),
        (["register", "--help"], 0, "Usage"),
        (["sync", "--help"], 0, "Usage"),
        (["share", "--help"], 0, "Usage"),
        (["lineage"], 1, "defectdistill: models/student/model.json is missing"),
        (["summary"], 1, "mlflow.db: there is no such store: run `dvc repro` in the project's folder"),
        (["sync"], 0, "0 runs sent to"),
        (["register"], 1, "params.yaml"),
        (["share"], 1, "not a git repository"),
    ],
)
def test_nothing_is_left_where_a_command_was_typed_by_mistake(tmp_path, words, status, said):
    done = subprocess.run(
        ["defectdistill", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120
    )
    output = done.stdout + done.stderr
    assert (done.returncode, said in output) == (status, True), output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []


def test_two_that_share_at_once_share_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(team, "repository_root", lambda: tmp_path)
    monkeypatch.setattr(team, "dvc_remote", lambda root, name: SimpleNamespace(name=name))
    pushed = []
    monkeypatch.setattr(team, "push", lambda *arguments: pushed.append(arguments))
    first, said = alone("share"), ""
    second = threading.Thread(target=team.share, args=("team", "origin"))
    second.start()
    begin = time.monotonic()
    while "another process runs" not in said and time.monotonic() - begin < 20:
        said += capsys.readouterr().err
        time.sleep(0.01)
    assert (pushed, "share: another process runs this" in said) == ([], True)
    first.release()
    second.join(20)
    assert len(pushed) == 1


@pytest.mark.parametrize("kind", [MlflowException, requests.ReadTimeout])
def test_a_store_that_fails_in_the_middle_is_one_line_without_its_password(monkeypatch, kind):
    def fails():
        raise kind("API request to http://alice:s3cret@lab:5000/api failed")

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://alice:s3cret@lab:5000")
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert "the MLflow store at http://lab:5000 failed (API request to http://lab:5000/api failed)" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_error_that_is_nobody_s_is_a_traceback(monkeypatch):
    monkeypatch.setattr(cli, "app", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main()
