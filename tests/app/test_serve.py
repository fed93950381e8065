"""Starting the page: addresses, ports, what is missing; on this machine alone unless told."""

import os
import re
import socket
import sys
from pathlib import Path
from unittest import mock

import pytest
from typer.testing import CliRunner

from defectdistill.app import serve
from defectdistill.app.limits import Limits
from defectdistill.cli import app


@pytest.fixture
def started(project, monkeypatch, tmp_path):
    """Call `serve` in the project's folder without a server at the end; returns what would have been served.

    What `serve` sets in the environment is for a process of its own: the tests behind these see none of it.
    """
    monkeypatch.chdir(project)
    seen = []
    monkeypatch.setattr(serve, "run", lambda application, listener: seen.append((application, listener.getsockname())))

    def start(host="127.0.0.1", port=0, models="models"):
        serve.serve(host, port, Path(models), tmp_path / "collected", Limits())
        return seen[-1]

    with mock.patch.dict(os.environ):
        yield start


def test_it_listens_on_this_machine_alone_unless_told(started, capsys):
    guard, (host, port) = started()
    assert host == "127.0.0.1"
    assert guard.only_loopback
    said = capsys.readouterr()
    assert f"open http://127.0.0.1:{port} in a browser" in said.out
    assert "WARNING" not in said.err
    guard, (host, port) = started("0.0.0.0")
    assert host == "0.0.0.0"
    assert not guard.only_loopback
    said = capsys.readouterr()
    assert f"open http://localhost:{port} in a browser" in said.out
    assert (
        "WARNING: on 0.0.0.0 everybody who can reach this machine, and any web site that one of them has open"
        in said.err
    )


def test_the_command_s_own_defaults_are_these(monkeypatch):
    given = []
    monkeypatch.setattr(serve, "serve", lambda *arguments: given.append(arguments))
    assert CliRunner().invoke(app, ["app"]).exit_code == 0
    assert given == [("127.0.0.1", 7860, Path("models"), Path("collected"), Limits(50, 100_000_000, 100))]


def test_a_port_that_is_taken_is_named_and_one_that_was_left_is_free_at_once():
    first = serve.bound("127.0.0.1", 0)
    port = first.getsockname()[1]
    with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 cannot be used .*--port {port + 1}"):
        serve.bound("127.0.0.1", port)
    with socket.create_connection(("127.0.0.1", port)) as other:  # so that the port lingers
        accepted, _ = first.accept()
        accepted.close()
        other.recv(1)
    first.close()
    serve.bound("127.0.0.1", port).close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_of_another_machine_is_named(host):
    with pytest.raises(ValueError, match=f"{host}.*give"):
        serve.bound(host, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_the_page_answers_at_the_address_that_it_says(started, capsys, host):
    try:
        guard, _ = started(host)
    except ValueError:
        pytest.skip(f"this machine has no {host}")
    said = re.search("http://([^ /]+)", capsys.readouterr().out)[1]
    assert guard.only_loopback
    assert guard.refusal("GET", "/", {"host": said}) is None
    assert guard.refusal("GET", "/", {"host": said, "origin": f"http://{said}"}) is None


def test_a_missing_student_is_said_before_anything_is_served(started):
    with pytest.raises(FileNotFoundError, match=r"nothing/student/model\.json is missing"):
        started(models="nothing")


def test_without_gradio_the_way_to_get_it_is_said(started, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ValueError, match=r"the page needs the package 'gradio'.*make app"):
        started()
