"""Run a stage: what this library refuses on purpose ends in one line, everything else keeps its traceback."""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

LIBRARY = Path(__file__).resolve().parent


def run_stage(name: str, main: Callable[[], None]) -> None:
    """Call `main`; a ValueError or OSError that was raised in this library exits with `name: message`.

    An error from inside another library is a bug, ours or theirs, and its traceback is needed.
    """
    try:
        main()
    except (ValueError, OSError) as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        if not Path(raised_in).is_relative_to(LIBRARY):
            raise
        sys.exit(f"{name}: {error}")
