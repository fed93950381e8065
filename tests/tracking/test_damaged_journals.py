"""Journals that a full disk, a kill or a person damaged: the rest of them and all others reach the store."""

import resource
import shutil
from contextlib import contextmanager

import pytest
from tracking_cases import stored
from typer.testing import CliRunner

from defectdistill.cli import app
from defectdistill.tracking.journal import Journal, journals_folder, waiting
from defectdistill.tracking.runs import stage_run
from defectdistill.tracking.store import STAGES


def a_journal(key):
    journal = Journal.start(key, "teacher", STAGES, f"the {key} run", {})
    journal.append(params={"teacher.lr": "0.1"})
    return journal


def ended(journal):
    journal.append(status="FINISHED")
    journal.lock.release()
    return journal


def sync():
    done = CliRunner().invoke(app, ["sync"])
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def files_end_at(size):
    """Let the system refuse to write files beyond so many bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def tear(journal):
    """Write half an event."""
    written = (journal.folder / "events.jsonl").stat().st_size
    with files_end_at(written + 20), pytest.raises(OSError, match="too large"):
        journal.append(metrics={"val_dice": 0.5}, step=0)
    assert (journal.folder / "events.jsonl").stat().st_size == written + 20


def test_what_is_written_after_half_a_line_stands_on_a_line_of_its_own(store):
    journal = a_journal("torn")
    tear(journal)
    assert [list(event)[1] for event in journal.events()] == ["params"]
    journal.append(metrics={"val_dice": 0.5}, step=1)
    assert [list(event)[1] for event in journal.events()] == ["params", "metrics"]
    assert journal.torn() == [2]


def test_a_torn_line_costs_that_line_alone_and_is_named(store):
    journal = a_journal("torn")
    tear(journal)
    journal.append(metrics={"val_dice": 0.7}, step=1)
    ended(journal)
    ended(a_journal("whole"))
    said = sync()
    assert "2 runs sent" in said
    assert f"left out of MLflow: an entry of the torn run is torn: line 2 of {journal.folder}/events.jsonl" in said
    found = stored(store, "torn")
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"val_dice": 0.7})
    assert stored(store, "whole").info.status == "FINISHED"
    assert waiting() == []


@pytest.mark.parametrize("folder", [False, True])
def test_a_missing_artifact_costs_itself_alone_and_is_named(store, tmp_path, folder):
    path = tmp_path / "figures"
    path.mkdir() if folder else path.write_text("x")
    journal = a_journal("poor")
    journal.keep(path)
    journal.append(metrics={"val_dice": 0.7}, step=1)
    ended(journal)
    shutil.rmtree(journal.folder / "artifacts/0")
    ended(a_journal("whole"))
    said = sync()
    assert "2 runs sent" in said
    assert f"left out of MLflow: an artifact of the poor run is missing: {journal.folder}/artifacts/0/figures" in said
    assert stored(store, "poor").data.metrics == {"val_dice": 0.7}
    assert stored(store, "whole").info.status == "FINISHED"
    assert waiting() == []


@pytest.mark.parametrize(("name", "content"), [("run.json", '{"key": "x"'), ("run.json", "[1]"), ("sent.json", "{")])
def test_a_journal_that_cannot_be_read_is_put_aside_and_named_and_the_others_go_on(store, name, content):
    journal = ended(a_journal("damaged"))
    (journal.folder / name).write_text(content)
    ended(a_journal("whole"))
    said = sync()
    aside = journals_folder().with_name("tracking-damaged") / journal.folder.name
    assert "1 runs sent" in said
    assert "still being written" not in said
    assert f"{name} of a journal is damaged" in said
    assert f"it is kept in {aside}" in said
    assert (aside / "events.jsonl").exists()
    assert stored(store, "whole").info.status == "FINISHED"
    assert "0 runs sent" in sync()


def test_a_stage_says_so_too_and_does_not_blame_the_server(store, capsys):
    journal = ended(a_journal("damaged"))
    (journal.folder / "run.json").write_text("{")
    with stage_run("teacher", {}) as run:
        pass
    said = capsys.readouterr().err
    assert "of a journal is damaged" in said
    assert "did not take everything" not in said
    assert stored(store, run.key).info.status == "FINISHED"
