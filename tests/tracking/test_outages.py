"""A store that is down, silent, slow or dies, and writers that are killed: nothing stalls, nothing is lost or twice."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests
from servers import free_port
from tracking_cases import all_runs, client, stored

from defectdistill.tracking import journal
from defectdistill.tracking import sender as sender_module
from defectdistill.tracking.delivery import Delivery, deliver_left
from defectdistill.tracking.journal import Journal, waiting
from defectdistill.tracking.runs import stage_run
from defectdistill.tracking.sender import Unreachable, send_left
from defectdistill.tracking.store import STAGES, connect, reader

LIMIT = 10.0  # seconds that a server may hold a training up, all in all


@pytest.fixture
def silent(monkeypatch):
    """A server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield


@pytest.fixture
def down(monkeypatch):
    """The address of a server that is not there."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")


def a_run(**options):
    with stage_run("teacher", {"teacher.lr": 0.001}, **options) as run:
        for epoch in range(3):
            run.log_epoch({"epoch": epoch, "val_dice": 0.1 * epoch})
    return run


@pytest.mark.parametrize("server", ["down", "silent"])
def test_a_server_that_does_not_answer_costs_seconds_and_loses_nothing(store, monkeypatch, capsys, request, server):
    connect()  # the imports are no server's fault
    request.getfixturevalue(server)
    begin = time.monotonic()
    run = a_run()
    assert time.monotonic() - begin < LIMIT
    assert "it is kept and goes out with the next stage, or by `defectdistill sync`" in capsys.readouterr().err
    (journal,) = waiting()
    assert journal.run["key"] == run.key
    assert [event["step"] for event in journal.events() if "metrics" in event] == [0, 1, 2]


def test_what_was_kept_goes_out_with_the_next_stage(store, monkeypatch, down):
    kept = a_run()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    a_run()
    assert waiting() == []
    found = stored(store, kept.key)
    assert (found.info.status, found.data.params) == ("FINISHED", {"teacher.lr": "0.001"})
    history = client(store).get_metric_history(found.info.run_id, "val_dice")
    assert [(entry.step, round(entry.value, 3)) for entry in history] == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert found.info.end_time - found.info.start_time < 60_000  # the times of the run, not of the sending


def test_what_was_kept_goes_out_by_the_command(store, monkeypatch, down):
    kept = a_run()
    with pytest.raises(Unreachable, match=r"127.0.0.1:\d+ does not take what 1 runs have to say.*it is kept"):
        send_left()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert send_left() == (1, [], 0)
    assert stored(store, kept.key).info.status == "FINISHED"


def test_a_store_that_does_not_answer_ends_a_question_in_a_line_without_its_password(store, monkeypatch, down):
    address = os.environ["MLFLOW_TRACKING_URI"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("://", "://bob:secret@"))
    with stage_run("teacher", {}, required=False):
        pass
    for ask, kind in ((reader, ValueError), (send_left, Unreachable)):
        with pytest.raises(kind, match="does not") as raised:
            ask()
        assert address in str(raised.value)
        assert "secret" not in str(raised.value)


def test_tracking_that_is_required_stops_at_once(store, down):
    begun = []
    with pytest.raises(Unreachable, match=r"required is true: start"), stage_run("teacher", {}, required=True):
        begun.append(True)
    assert not begun


def test_tracking_that_is_required_stops_when_the_server_dies(store, monkeypatch):
    monkeypatch.setattr(sender_module, "PATIENCE", 0.5)
    monkeypatch.setattr(sender_module, "RETRY", 0.1)
    epochs = []

    def train(run):
        monkeypatch.setattr(run.sender.delivery, "send", lambda journal: 1 / 0)
        while len(epochs) < 1000:
            run.log_epoch({"epoch": len(epochs), "val_dice": 0.5})
            epochs.append(True)
            time.sleep(0.05)

    with pytest.raises(Unreachable, match="does not answer"), stage_run("teacher", {}, required=True) as run:
        train(run)
    assert len(epochs) < 100
    assert send_left()[0] == 1  # what was measured until then


def test_a_server_that_dies_between_two_events_gets_each_once(store):
    """The store takes an event and the connection breaks before it says so: the event is sent again and not doubled."""
    journal = Journal.start("k", "teacher", STAGES, "teacher", {})
    journal.append(params={"teacher.lr": "0.1"})
    for step in range(3):
        journal.append(metrics={"val_dice": 0.5, "val_loss": 1.0}, step=step)
    journal.append(status="FINISHED")

    class Breaking(Delivery):
        def apply(self, run_id, journal, event):
            super().apply(run_id, journal, event)
            if event.get("step") == 1:
                raise ConnectionError("reset by peer")

    with pytest.raises(ConnectionError):
        Breaking(connect()).send(journal)
    Delivery(connect()).send(journal)  # another process, which knows nothing of the first
    found = stored(store, "k")
    assert found.info.status == "FINISHED"
    for name in ("val_dice", "val_loss"):
        assert [entry.step for entry in client(store).get_metric_history(found.info.run_id, name)] == [0, 1, 2]


def test_an_entry_that_the_store_refuses_for_good_does_not_hold_up_the_others(store, capsys):
    with stage_run("teacher", {"teacher.lr": 0.1}) as run:
        run.log_params({"teacher.lr": 0.2})  # MLflow: a parameter cannot change
        run.log_metrics({"val_dice": 0.5})
    assert "MLflow refused an entry of teacher" in capsys.readouterr().err
    found = stored(store, run.key)
    assert found.data.params == {"teacher.lr": "0.1"}
    assert found.data.metrics == {"val_dice": 0.5}
    assert found.info.status == "FINISHED"


def test_a_run_that_the_store_cannot_take_does_not_hold_up_the_next(store, monkeypatch, down):
    for value in (0.1, 0.2):
        with stage_run("teacher", {"teacher.lr": value}) as run:
            run.log_metrics({"val_dice": value})
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    delivery, first = Delivery(connect()), waiting()[0].run["key"]
    send = delivery.send

    def slow(journal, final):
        if journal.run["key"] == first:
            raise TimeoutError("read timed out")
        send(journal, final)

    monkeypatch.setattr(delivery, "send", slow)
    with pytest.raises(TimeoutError):
        deliver_left(delivery)
    assert [journal.run["key"] for journal in waiting()] == [first]
    assert stored(store, run.key).info.status == "FINISHED"


@pytest.mark.parametrize(("status", "given_up"), [(413, True), (404, True), (401, False), (503, False)])
def test_an_artifact_that_is_too_large_is_left_out_and_the_run_ends(store, monkeypatch, tmp_path, status, given_up):
    refused = requests.HTTPError(f"{status} for url", response=type("Response", (), {"status_code": status})())
    monkeypatch.setattr(Delivery, "log_artifact", lambda *_: raise_it(refused))
    (tmp_path / "report.html").write_text("large")
    with stage_run("teacher", {"teacher.lr": 0.1}) as run:
        run.log_artifacts(tmp_path / "report.html")
    assert (stored(store, run.key).info.status == "FINISHED") is given_up
    assert len(waiting()) == (not given_up)


def raise_it(error):
    raise error


def test_commands_that_hold_up_no_training_wait_longer(store, monkeypatch):
    connect()
    a_run()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    reader()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    monkeypatch.setattr("defectdistill.tracking.store._CHOSEN", True)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    reader()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"


KILLED = """
import sys, time
from defectdistill.tracking.runs import stage_run
with stage_run("teacher", {"teacher.lr": 0.001}, key="the-training") as run:
    for epoch in range(2):
        run.log_epoch({"epoch": epoch, "val_dice": 0.5})
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def killed(store):
    """A stage that was killed by SIGKILL in its third epoch, in whatever state its sender was."""
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_run_is_marked_killed_by_the_next_stage(store, killed):
    a_run()
    found = stored(store, "the-training")
    assert found.info.status == "KILLED"
    assert [entry.step for entry in client(store).get_metric_history(found.info.run_id, "val_dice")] == [0, 1]
    assert waiting() == []


@pytest.mark.parametrize("delivered_before", [False, True])
def test_a_killed_run_that_goes_on_is_one_run_with_each_step_once(store, killed, delivered_before):
    if delivered_before:
        deliver_left(Delivery(connect()))
        assert stored(store, "the-training").info.status == "KILLED"
    with stage_run("teacher", {"teacher.lr": 0.001}, key="the-training") as run:
        for epoch in range(4):  # a restarted training hands on its earlier epochs again
            run.log_epoch({"epoch": epoch, "val_dice": 0.5})
    found = stored(store, "the-training")
    assert found.info.status == "FINISHED"
    assert [entry.step for entry in client(store).get_metric_history(found.info.run_id, "val_dice")] == [0, 1, 2, 3]
    assert {run.info.status for run in all_runs(store)} == {"FINISHED"}


def test_an_earlier_part_that_comes_after_the_end_does_not_undo_it(store, killed):
    """The store had failed with it, while the training went on and was finished."""
    (earlier,) = waiting()
    earlier.folder.rename(store / "aside")
    with stage_run("teacher", {"teacher.lr": 0.001}, key="the-training") as run:
        run.log_epoch({"epoch": 0, "val_dice": 0.5})
    (store / "aside").rename(earlier.folder)
    deliver_left(Delivery(connect()))
    assert stored(store, "the-training").info.status == "FINISHED"
    assert waiting() == []


def test_a_kill_while_a_sent_journal_is_removed_leaves_no_half_of_it_to_be_sent(store, monkeypatch):
    monkeypatch.setattr(journal.shutil, "rmtree", lambda path, **options: None)
    a_run()
    assert waiting() == []


def test_what_others_left_is_tried_again_before_ones_own(store, monkeypatch):
    """Else an earlier part of a run would come after its end."""
    calls = []

    def fails_once(delivery):
        calls.append(delivery)
        if len(calls) == 1:
            raise OSError("database is locked")

    monkeypatch.setattr(sender_module, "deliver_left", fails_once)
    sender = sender_module.Sender(Journal.start("a-key", "teacher", STAGES, "teacher", {}))
    with pytest.raises(OSError, match="locked"):
        sender.send()
    sender.send()
    assert len(calls) == 2
    sender.journal.lock.release()


def test_a_journal_that_was_hardly_begun_is_given_up(store, monkeypatch):
    journal = Journal.start("k", "teacher", STAGES, "teacher", {})
    (journal.folder / "run.json").unlink()
    journal.lock.release()
    assert deliver_left(Delivery(connect())) == 0
    assert len(waiting()) == 1  # its writer may be about to write
    monkeypatch.setattr("defectdistill.tracking.journal.BEGINNING", 0.0)
    assert deliver_left(Delivery(connect())) == 0
    assert waiting() == []


def test_a_deleted_experiment_is_restored(store):
    a_run()
    experiment = client(store).get_experiment_by_name(STAGES)
    client(store).delete_experiment(experiment.experiment_id)
    run = a_run()
    assert stored(store, run.key).info.status == "FINISHED"
