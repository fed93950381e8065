"""The code that runs here, as git knows it."""

import subprocess


def git_state() -> tuple[str | None, list[str]]:
    """Return the commit checked out here and the files that differ from it, as `git status` lists them.

    Files that git does not track count; dvc.lock does not, since a run writes it. (None, []) outside of a repository.
    """
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None, []
    return commit.strip(), (git("status", "--porcelain", "--", ".", ":(exclude)dvc.lock") or "").splitlines()


def git(*arguments: str) -> str | None:
    """Return what a git command prints, None if it fails or there is no git; what is not UTF-8 is escaped."""
    try:
        command = ["git", *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
