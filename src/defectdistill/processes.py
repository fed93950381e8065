"""Which of several processes that train together this one is; known before they have met, and without torch."""

import os


def is_main_process() -> bool:
    """Whether this process is the one that writes and tracks: rank 0, as torchrun, Lightning or Slurm tells it.

    Lightning gives the processes that it starts a LOCAL_RANK, on each machine with its NODE_RANK; torchrun gives RANK.
    """
    names = ("RANK",) if "RANK" in os.environ else ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(int(os.environ.get(name) or 0) == 0 for name in names)
