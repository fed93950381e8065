"""The team cache with real dvc and git: what one person shares, a fresh clone gets without executing anything."""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from repository import STAGES, TINY, YAML_12, executed, make_repository, run
from servers import KEY, SECRET, free_port, s3_server, sftp_server
from teammates import add_experiment, clone, hashes, report_hash

SHARE = "defectdistill share"
CREDENTIALS = {"s3": ("access_key_id", "secret_access_key"), "sftp": ("user", "password")}

# goes on where .dvc/config ends, in its section [core]
REMOTES = """
    remote = team
['remote "team"']
    url = {folder}
['remote "s3"']
    url = s3://bucket/dvc
    endpointurl = {endpoint}
['remote "sftp"']
    url = ssh://127.0.0.1:{port}/dvc
"""


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """A reproduced and shared repository, its git remote, and three DVC remotes: a folder, an S3 and an SFTP server."""
    place = tmp_path_factory.mktemp("team")
    for name in ("remote", "s3/bucket", "sftp"):
        (place / name).mkdir(parents=True)
    with ExitStack() as servers:
        endpoint = servers.enter_context(s3_server(place / "s3", place / "s3.log"))
        port = servers.enter_context(sftp_server(place / "sftp", place / "sftp.log"))
        folder = make_repository(place / "first", TINY)
        run(f"git init -q --bare --initial-branch main {place}/origin.git", place)
        run(f"git branch -M main && git remote add origin {place}/origin.git", folder)
        with (folder / ".dvc/config").open("a") as config:
            config.write(REMOTES.format(folder=place / "remote", endpoint=endpoint, port=port))
        assert executed(run("dvc repro", folder)) == STAGES
        run("git add -A && git commit -qm reproduced", folder)
        shared = run(SHARE, folder)
        run("git push -q -u origin main", folder)
        yield SimpleNamespace(place=place, folder=folder, shared=shared)


@pytest.fixture(scope="module")
def teammate(team):
    """A teammate's clone, whose workspace is links into a shared cache, and what its own experiment printed."""
    folder = clone(team, "teammate")
    run(f"dvc cache dir --local {team.place}/cache && dvc config --local cache.shared group", folder)
    run("dvc config --local cache.type hardlink,symlink", folder)
    pulled = run("dvc repro --pull", folder)
    links = [path for name in ("data", "models", "metrics") for path in (folder / name).rglob("*") if path.is_file()]
    modes = {path: path.lstat() for path in links if "data/source" not in str(path)}
    cached = hashes(team.place / "cache")
    ran = run("dvc exp run --name other-beta -S distill.beta=0.4", folder)
    applied = run(SHARE, folder, fails=True)
    run("git checkout -q -- . && dvc checkout", folder)
    shared = run(SHARE, folder)
    return SimpleNamespace(**locals())


def apply_experiment(folder: Path, **variables: str) -> None:
    """Bring other-beta and its outputs into a clone's workspace."""
    run("dvc exp pull origin other-beta && dvc exp apply other-beta", folder, **variables)
    assert YAML_12.load(folder / "params.yaml")["distill"]["beta"] == 0.4
    assert (folder / "models/student/weights.safetensors").stat().st_size > 100_000


def test_share_says_what_it_pushed_and_what_is_left_to_do(team):
    commit = run("git rev-parse --short HEAD", team.folder).strip()
    assert f"'team' ({team.place}/remote)" in team.shared
    assert f"the outputs of commit {commit}" in team.shared
    assert "there are none" in team.shared
    assert "git push origin HEAD" in team.shared


def test_sharing_again_pushes_the_new_experiment_alone(teammate):
    assert "Everything is up to date." in teammate.shared
    assert "Pushed experiment other-beta" in teammate.shared
    assert "git pull && dvc repro --pull" in teammate.shared


def test_a_fresh_clone_executes_nothing(teammate):
    assert "Pulling data for stage: 'evaluate'" in teammate.pulled
    assert executed(teammate.pulled) == []
    assert (teammate.folder / "metrics/report.html").exists()


def test_a_teammates_experiment_re_runs_what_lies_downstream_alone(teammate):
    assert executed(teammate.ran) == ["check", "distill", "evaluate", "export"]


def test_an_experiment_applied_but_not_committed_is_refused(teammate):
    assert "not committed" in teammate.applied
    assert "dvc.lock, params.yaml" in teammate.applied
    assert "git checkout -- . && dvc checkout" in teammate.applied


def test_an_experiment_and_its_cached_run_reach_a_third_person(team, teammate):
    assert "experiments: other-beta" in teammate.shared
    third = clone(team, "third")
    assert executed(run("dvc exp run --pull -S distill.beta=0.4", third)) == []
    run("git checkout -q -- .", third)
    apply_experiment(third)
    assert executed(run("dvc repro --pull", third)) == []


def test_linked_outputs_are_read_only_and_the_cache_stays_as_it_was(team, teammate):
    assert len(teammate.modes) > 60
    assert [path for path, mode in teammate.modes.items() if mode.st_nlink < 2 and not path.is_symlink()] == []
    assert [path for path, mode in teammate.modes.items() if mode.st_mode & 0o222] == []
    now = hashes(team.place / "cache")
    assert len(now) > len(teammate.cached)
    assert [path for path, value in teammate.cached.items() if now.get(path) != value] == []
    group_writable = [path.stat().st_mode & 0o2020 == 0o2020 for path in (team.place / "cache/files/md5").iterdir()]
    assert all(group_writable)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser writes where nobody may; docs/team_cache.md says so")
def test_an_output_cannot_be_edited_in_place(teammate):
    with pytest.raises(PermissionError):
        (teammate.folder / "metrics/evaluate.json").open("a")


@pytest.mark.parametrize("remote", ["s3", "sftp"])
def test_through_a_server_a_fresh_clone_executes_nothing(team, teammate, remote):
    user, secret = CREDENTIALS[remote]
    credentials = (
        f"dvc remote modify --local {remote} {user} {KEY} && dvc remote modify --local {remote} {secret} {SECRET}"
    )
    run(credentials, teammate.folder)
    output = run(f"{SHARE} {remote}", teammate.folder)
    assert "experiments: other-beta" in output
    fresh = clone(team, f"fresh-{remote}")
    run(f"dvc remote default --local {remote}", fresh)
    variables = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET} if remote == "s3" else {}
    if not variables:
        run(credentials, fresh)
    assert executed(run("dvc repro --pull", fresh, **variables)) == []
    apply_experiment(fresh, **variables)


def test_credentials_given_locally_stay_out_of_git(team):
    folder = clone(team, "secret")
    run(f"dvc remote modify --local s3 secret_access_key {SECRET}", folder)
    assert SECRET in (folder / ".dvc/config.local").read_text()
    assert run("git add -A && git status --porcelain", folder) == ""


def test_one_experiment_that_cannot_be_shared_keeps_no_other_back(team, teammate, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(teammate.folder, folder, symlinks=True)
    add_experiment(folder, "good")
    add_experiment(folder, "lost", "dvc.lock", report_hash(folder, "other-beta"), "f" * 32)
    add_experiment(folder, "older", ".dvc/config", f"url = {team.place}/remote", "url = /nowhere")
    run(f"git push -q origin {add_experiment(folder, 'taken')}", folder)
    add_experiment(folder, "taken", "params.yaml", "beta: 0.4", "beta: 0.41")
    output = run(SHARE, folder, fails=True)
    assert "experiments: good, other-beta" in output
    assert "all was shared but these experiments" in output
    assert "lost: the cache has lost metrics/report.html" in output
    assert "older: made before .dvc/config described the remote 'team' as it does now" in output
    assert "taken: a teammate's experiment has this name" in output
    there = run("dvc exp list --all-commits --name-only origin", folder).split()
    assert sorted(there) == ["good", "other-beta", "taken"]


def test_a_workspace_that_is_not_reproduced_is_refused(team):
    folder = clone(team, "bare")
    assert "Run `dvc repro --pull`" in run(SHARE, folder, fails=True)
    (folder / "src/defectdistill/predict.py").write_text("changed = True\n")
    assert "src/defectdistill/predict.py" in run(SHARE, folder, fails=True)


def test_a_remote_that_does_not_answer_is_named(team, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(team.folder, folder, symlinks=True)
    run(f"dvc remote add --local gone ssh://127.0.0.1:{free_port()}/dvc", folder)
    output = run(f"{SHARE} gone", folder, fails=True)
    assert "the DVC remote 'gone' (ssh://127.0.0.1:" in output
    assert "Nothing on this machine was lost" in output
    run("git remote add gone ../gone.git", folder)
    output = run(f"{SHARE} --git-remote gone", folder, fails=True)
    assert "the git remote 'gone' does not answer" in output
