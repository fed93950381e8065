"""What `defectdistill share` asks before it pushes: remotes, files that stages read, lost outputs."""

import json
import os

import pytest
from repository import TINY, make_repository, run

from defectdistill.share import require_reproduced
from defectdistill.team_state import (
    EXPERIMENT,
    changed_files,
    changed_stages,
    is_cached,
    is_read,
    lock_files,
    lost_outputs,
    remote_section,
)

SHARE = "defectdistill share"
HASH, OTHER = "ab" * 16, "cd" * 16


def test_what_is_missing_is_said_with_the_command_that_adds_it(tmp_path):
    folder = make_repository(tmp_path / "new", TINY)
    assert "dvc remote add --default" in run(SHARE, folder, fails=True)
    run(f"dvc remote add --default team {tmp_path}/unmounted", folder)
    assert "unmounted, the folder of the DVC remote 'team', is not there" in run(SHARE, folder, fails=True)
    (tmp_path / "unmounted").mkdir()
    assert "no DVC remote 'typo'; known: team" in run(f"{SHARE} typo", folder, fails=True)
    assert "git remote add origin" in run(SHARE, folder, fails=True)
    run("git init -q --bare ../origin.git && git remote add origin ../origin.git", folder)
    output = run(SHARE, folder, fails=True)
    assert "no dvc.lock" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dvc.lock", True),
        ("pipelines/cwd/params.yaml", True),
        (".dvc/config", True),
        ("data/source/photos.dvc", True),
        ("stages/teacher.py", True),
        ("data/source/photos/new.png", True),
        ("data/source/README.md", False),
        ("README.md", False),
    ],
)
def test_a_changed_file_matters_if_a_stage_or_dvc_reads_it(name, expected):
    assert is_read(name, {"stages/teacher.py", "data/source/photos"}) is expected


def test_another_dvc_repository_in_this_one_is_not_asked_about(tmp_path):
    """What `make repro-worth` leaves in pipelines/ kept everything else from being shared."""
    folder = make_repository(tmp_path / "own", TINY)
    (folder / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    gone = {"path": "table", "hash": "md5", "md5": HASH}
    text = json.dumps({"stages": {"table": {"cmd": "x", "deps": [], "outs": [gone]}}})
    (folder / "pipelines/worth/dvc.lock").write_text(text)
    (folder / "pipelines/photos.dvc").write_text(json.dumps({"outs": [gone]}))
    assert lock_files(folder) == ["dvc.lock"]
    assert changed_files(folder, ["dvc.lock"]) == ["dvc.lock"]
    run("git add -A && git commit -qm locks", folder)
    assert lock_files(folder) == ["dvc.lock"]
    assert lost_outputs(folder, "HEAD", tmp_path / "cache") == []
    changed_stages(folder, ["dvc.lock"])  # dvc status fails where it is asked about files of another repository


def keep(cache, key, content):
    path = cache / "files/md5" / key[:2] / key[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_an_output_is_cached_when_every_file_of_it_is(tmp_path):
    file = {"path": "a", "hash": "md5", "md5": HASH}
    folder = {"path": "b", "hash": "md5", "md5": f"{OTHER}.dir"}
    assert not is_cached(file, tmp_path)
    assert not is_cached(folder, tmp_path)
    keep(tmp_path, f"{OTHER}.dir", json.dumps([{"md5": HASH, "relpath": "a"}]))
    assert not is_cached(folder, tmp_path)
    keep(tmp_path, HASH, "content")
    assert is_cached(file, tmp_path)
    assert is_cached(folder, tmp_path)


def test_a_remote_is_read_from_the_commit_and_not_from_the_workspace(tmp_path):
    folder = make_repository(tmp_path / "new", TINY)
    assert remote_section(folder, "HEAD", "team") == ""
    run("dvc remote add team s3://bucket/dvc && dvc remote modify team endpointurl http://here", folder)
    run("dvc remote add other s3://bucket/other", folder)
    assert remote_section(folder, "HEAD", "team") == ""
    run("git commit -qam remotes", folder)
    section = remote_section(folder, "HEAD", "team")
    assert "url = s3://bucket/dvc" in section
    assert "endpointurl = http://here" in section
    assert "other" not in section
    assert remote_section(folder, "HEAD", "other") == "url = s3://bucket/other"
    assert remote_section(folder, "HEAD", "tea") == ""


def test_a_changed_file_whose_name_is_not_utf_8_is_named_escaped(tmp_path):
    run("git init -q && git config core.quotePath false", tmp_path)
    (tmp_path / "dvc.lock").write_text("stages:\n  ingest:\n    deps:\n    - path: data/source\n")
    (tmp_path / "data/source").mkdir(parents=True)
    (tmp_path / os.fsdecode(b"data/source/Pr\xfcfung.png")).touch()
    assert changed_files(tmp_path, ["dvc.lock"])[0] == os.fsdecode(b"data/source/Pr\xfcfung.png")
    with pytest.raises(ValueError, match="not committed") as caught:
        require_reproduced(tmp_path)
    assert r"data/source/Pr\udcfcfung.png" in str(caught.value)
    str(caught.value).encode()  # or it could not be printed


def test_only_finished_experiments_are_experiments():
    commit = "0123456789" * 4
    assert EXPERIMENT.fullmatch(f"refs/exps/{commit[:2]}/{commit[2:]}/other-beta")["name"] == "other-beta"
    for reference in (
        "refs/exps/exec/EXEC_HEAD",
        "refs/exps/stash",
        "refs/exps/celery/stash",
        "refs/exps/apply/ORIG_HEAD",
    ):
        assert not EXPERIMENT.fullmatch(reference)
