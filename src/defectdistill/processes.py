"""Which of several processes that train together this one is; known before they have met, and without torch."""

import os


def is_main_process() -> bool:
    """Whether this process is the one that writes and tracks: rank 0, as torchrun or Lightning tells its processes."""
    return int(os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or 0) == 0
