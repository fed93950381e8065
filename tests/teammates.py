"""Teammates: clones of a shared repository, and experiments made by git alone, without a training."""

import hashlib
from pathlib import Path

from repository import YAML_12, run


def clone(team, name: str) -> Path:
    """Return a fresh clone of the team's git remote."""
    folder = team.place / name
    run(f"git clone -q origin.git {name}", team.place)
    run("git config user.name test && git config user.email test@example.com", folder)
    return folder


def hashes(cache: Path) -> dict[Path, str]:
    """Return the hash of every file in a DVC cache."""
    files = [path for path in (cache / "files").rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def add_experiment(folder: Path, name: str, file: str = "", old: str = "", new: str = "") -> str:
    """Add an experiment like other-beta, with one text changed in one file; returns its reference."""
    other = folder.parent / name
    run(f"git worktree add -q --detach {other} {reference(folder, 'other-beta')}", folder)
    if file:
        text = (other / file).read_text()
        assert old in text
        (other / file).write_text(text.replace(old, new))
    run(f"git commit -qa --allow-empty --amend --message {name}", other)
    added = reference(folder, "other-beta").replace("other-beta", name)
    run(f"git update-ref {added} $(git -C {other} rev-parse HEAD) && git worktree remove --force {other}", folder)
    return added


def reference(folder: Path, experiment: str) -> str:
    """Return git's name of an experiment."""
    return run(f"git for-each-ref --format='%(refname)' 'refs/exps/*/*/{experiment}'", folder).strip()


def report_hash(folder: Path, experiment: str) -> str:
    """Return the hash of the report that an experiment made."""
    lock = run(f"git show {reference(folder, experiment)}:dvc.lock", folder)
    outputs = YAML_12.load(lock)["stages"]["evaluate"]["outs"]
    return next(entry["md5"] for entry in outputs if entry["path"] == "metrics/report.html")
