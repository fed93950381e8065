"""The code that runs here, as git knows it."""

import subprocess

EVERYTHING = (":/", ":(top,exclude,glob)**/dvc.lock")  # whatever folder git is asked in


def git_state() -> tuple[str | None, list[str]]:
    """Return the commit checked out here and the files of the whole repository that differ from it, by `git status`.

    A stage may stand in a folder below. Files that git does not track count; a dvc.lock does not, since a run writes
    it. (None, []) outside of a repository.
    """
    commit = git("rev-parse", "HEAD")
    if commit is None:
        return None, []
    return commit.strip(), (git("status", "--porcelain", "--", *EVERYTHING) or "").splitlines()


def git(*arguments: str) -> str | None:
    """Return what a git command prints, None if it fails or there is no git; what is not UTF-8 is escaped."""
    try:
        command = ["git", *arguments]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
