"""Share with the team what was made: the workspace's outputs, the experiments, and the runs that DVC has cached.

DVC's own commands do the work. `dvc push` leaves out the experiments; with `--run-cache` it pushes the notes of which
inputs led to which outputs, but of the outputs the workspace's alone. `dvc exp push` brings the others. Both end well,
with no more than a warning, when the cache has lost an output: hence the checks before.
"""

import subprocess
import sys
from pathlib import Path

import typer

from defectdistill.addresses import without_password
from defectdistill.data.sources.folder.names import shown
from defectdistill.stage import alone
from defectdistill.team_state import (
    EXPERIMENT,
    Remote,
    ask,
    cache_folder,
    changed_files,
    changed_stages,
    dvc_remote,
    experiments,
    lock_files,
    lost_outputs,
    references,
    remote_section,
    repository_root,
)


def share(remote_name: str | None, git_remote: str) -> None:
    """Push to a DVC remote (None: the default one) and a git remote; raises ValueError if a teammate would miss any."""
    root = repository_root()
    remote = dvc_remote(root, remote_name)
    with alone("share"):
        push(root, remote, git_remote)


def push(root: Path, remote: Remote, git_remote: str) -> None:
    """Push a reproduced workspace, its experiments and cached runs; raises ValueError for what did not arrive."""
    there = references(root, git_remote)
    require_reproduced(root)
    here = experiments(root)
    withheld = reasons_to_withhold(root, here, there, remote)
    require_pushed(dvc(root, "push", "--remote", remote.name), remote)
    chosen = [reference for reference in here if reference not in withheld]
    failed = push_experiments(root, remote, git_remote, chosen)
    now = references(root, git_remote)
    arrived = [reference for reference in chosen if reference not in failed and now.get(reference) == here[reference]]
    report(root, remote, git_remote, arrived)
    unshared = {reference: why for reference, why in withheld.items() if there.get(reference) != here[reference]}
    for reference in set(chosen) - set(arrived):
        unshared[reference] = refusal(reference, now.get(reference) not in (None, here[reference]))
    complain(unshared)


def require_reproduced(root: Path) -> None:
    """Raise ValueError if the commit that teammates get is not what stands in the workspace, with its outputs."""
    locks = lock_files(root)
    changed = changed_files(root, locks)
    if changed:
        raise ValueError(
            f"not committed, so that teammates would not get it: {shortened(changed)}. Keep it: git add "
            f"{' '.join(map(shown, changed))} && git commit. Or, if an experiment left it there, go back to the commit "
            "(the experiment stays): git checkout -- . && dvc checkout. Then share again"
        )
    stages = changed_stages(root, locks)
    if stages:
        raise ValueError(
            f"the workspace is not what the commit makes; changed, or without outputs: {shortened(stages)}. "
            "Run `dvc repro --pull`, commit dvc.lock, share again"
        )


def reasons_to_withhold(root: Path, here: dict[str, str], there: dict[str, str], remote: Remote) -> dict[str, str]:
    """Return, by experiment, why its outputs cannot go to the remote, and what to do.

    DVC reads how to reach a remote in the experiment's own commit. What the cache has lost matters where no teammate
    has the experiment: of others, this machine may never have had the outputs.
    """
    section = remote_section(root, "HEAD", remote.name)
    cache = cache_folder(root)
    reasons = {}
    for reference, commit in here.items():
        name = name_of(reference)
        if remote_section(root, commit, remote.name) != section:
            reasons[reference] = (
                f"made before .dvc/config described the remote {remote.name!r} as it does now; make it anew on this "
                f"commit, from the cache: dvc exp apply {name} && git checkout HEAD -- .dvc/config && "
                f"dvc exp run --name {name}-again && dvc exp remove {name}"
            )
        elif there.get(reference) != commit and (lost := lost_outputs(root, commit, cache)):
            reasons[reference] = (
                f"the cache has lost {shortened(lost)}; run it again with the parameters that `dvc exp show` tells, "
                f"or drop it: dvc exp remove {name}"
            )
    return reasons


def refusal(reference: str, taken: bool) -> str:
    """Return why the git remote has not got an experiment that was pushed; taken: it has another one there."""
    if taken:
        return f"a teammate's experiment has this name; give yours another: dvc exp rename {name_of(reference)} NAME"
    return "dvc says above why; nothing on this machine was lost, share again"


def dvc(root: Path, *arguments: str) -> bool:
    """Run a dvc command with its progress in the terminal, and say whether it ended well."""
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=root).returncode == 0


def require_pushed(done: bool, remote: Remote) -> None:
    """Raise ValueError naming the remote that a push did not reach."""
    if not done:
        address = without_password(remote.url)
        raise ValueError(
            f"the DVC remote {remote.name!r} ({address}) did not take everything; dvc says above why. Nothing on "
            f"this machine was lost. Check address, network and credentials (docs/team_cache.md), then share again"
        )


def push_experiments(root: Path, remote: Remote, git_remote: str, chosen: list[str]) -> list[str]:
    """Push experiments with their outputs and the notes of all cached runs; returns the experiments that failed.

    After the workspace: a dead server is noticed at its first file there, but with the notes once for every note.
    """
    if not chosen:
        require_pushed(dvc(root, "push", "--run-cache", "--remote", remote.name), remote)
        return []
    command = ("exp", "push", "--remote", remote.name)
    if dvc(root, *command, "--run-cache", git_remote, *chosen):
        return []
    typer.echo("Not all experiments went through together; each by itself:")
    return [reference for reference in chosen if not dvc(root, *command, git_remote, reference)]


def report(root: Path, remote: Remote, git_remote: str, arrived: list[str]) -> None:
    """Say what teammates have now, and what to type for the commit that they do not have yet."""
    commit = ask(root, "git", "rev-parse", "--short", "HEAD").strip()
    names = shortened([name_of(reference) for reference in arrived], 10) or "there are none"
    address = without_password(remote.url)
    typer.echo(f"\nShared through the DVC remote {remote.name!r} ({address}) and the git remote {git_remote!r}:")
    typer.echo(f"  the outputs of commit {commit}, and the runs that DVC has cached")
    typer.echo(f"  experiments: {names}")
    if ask(root, "git", "for-each-ref", "--contains", "HEAD", f"refs/remotes/{git_remote}"):
        typer.echo("A teammate types: git pull && dvc repro --pull")
    else:
        typer.echo(f"Still to do, for {git_remote!r} does not have commit {commit}: git push {git_remote} HEAD")


def complain(reasons: dict[str, str]) -> None:
    """Raise ValueError listing the experiments that were not shared, each with why and what to do, if there are any."""
    lines = [f"{name_of(reference)}: {reason}" for reference, reason in reasons.items()]
    if lines:
        raise ValueError("\n  ".join(["all was shared but these experiments:", *lines]))


def name_of(reference: str) -> str:
    """Return an experiment's name."""
    return EXPERIMENT.fullmatch(reference)["name"]


def shortened(names: list[str], limit: int = 5) -> str:
    """Return a list in words, of its first `limit` names, each such that it can be printed."""
    rest = len(names) - limit
    return ", ".join(map(shown, names[:limit])) + (f" and {rest} more" if rest > 0 else "")
