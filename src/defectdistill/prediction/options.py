"""How `predict` works, with what the command line takes where nothing is said: it reads the defaults here."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to predict: photographs in a batch, the most pixels of one, threads that decode, pictures on the page (0: no
    page), and whether to drop what an interrupted run left."""

    batch_size: int = 64
    max_pixels: int = 100_000_000
    workers: int = min(4, os.cpu_count() or 1)
    sheet_limit: int = 120
    restart: bool = False
