"""Where things live that are no stage's output: at the root of the main repository, also for a copy of it."""

import os
from pathlib import Path


def root() -> Path:
    """Return the main repository's root: what DVC says, also from inside a temporary copy, else the folder here.

    Under `dvc exp run --temp` and in the queue the working directory is a copy that is thrown away.
    """
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def scratch() -> Path:
    """Return the untracked folder for what must outlive a kill, shared by all copies of a repository."""
    return root() / ".dvc" / "tmp" / "defectdistill"
