"""Which of several processes this one is, and who started it; known without torch."""

import os
import threading
import time
from pathlib import Path

import psutil

LOOK = 0.5  # seconds between two looks at whether dvc lives


def is_main_process() -> bool:
    """Whether this process is the one that writes and tracks: rank 0, as torchrun, Lightning or Slurm tells it.

    Lightning gives the processes that it starts a LOCAL_RANK, on each machine with its NODE_RANK; torchrun gives RANK.
    """
    names = ("RANK",) if "RANK" in os.environ else ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(int(os.environ.get(name) or 0) == 0 for name in names)


def dvc_process() -> psutil.Process | None:
    """Return the dvc that runs this stage, None where it was started by hand."""
    if "DVC_STAGE" not in os.environ:
        return None
    for process in psutil.Process().parents():
        try:
            words = process.cmdline()
        except psutil.Error:  # gone, or another user's
            continue
        if any(Path(word).name == "dvc" for word in words):
            return process
    return None


def end_with_dvc() -> None:
    """End this process as soon as the dvc that started it is gone, as if it had been killed too.

    Whoever kills dvc wants the training to stop; left alone it would go on, unseen, and write beside the next one.
    """
    _end_with(dvc_process())


def end_with_parent() -> None:
    """End this process, one of several that share a piece of work, as soon as the one that started it is gone.

    A pool's processes wait for work that nobody will send them.
    """
    _end_with(psutil.Process().parent())


def _end_with(other: psutil.Process | None) -> None:
    if other is None:
        return

    def watch() -> None:
        while other.is_running() and other.status() != psutil.STATUS_ZOMBIE:
            time.sleep(LOOK)
        os._exit(1)  # no clean-up: a stage must stand being killed anyway

    threading.Thread(target=watch, name="watch", daemon=True).start()
