"""Reads and decodes photographs in a few threads, a bounded number ahead, and hands them on in their order.

What waits is already resized: of large photographs no more than `workers` are in memory at their full size.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from defectdistill.data.images import BadImage, decode_image
from defectdistill.data.ingest import LARGEST_PIXEL, LARGEST_REST
from defectdistill.data.sample import Rejected
from defectdistill.prediction.find import Found

Prepare = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Batch:
    """Names and images, uint8 (S, S, 3) each, of photographs in a row, and what was refused among them."""

    names: list[str]
    images: list[np.ndarray]
    rejected: list[Rejected]


def read_photograph(path: Path, max_pixels: int) -> np.ndarray:
    """Return a photograph as uint8 RGB (height, width, 3); raises `BadImage` for whatever is none, or cannot be read.

    A file that is longer than `max_pixels` pixels can be is not read.
    """
    limit = LARGEST_PIXEL * max_pixels + LARGEST_REST
    try:
        length = path.stat().st_size
        if length > limit:
            raise BadImage(f"{length} bytes, more than {limit}, which --max-pixels {max_pixels} can take; shrink it")
        data = path.read_bytes()
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror}); check its permissions and the disk") from error
    return decode_image(data, max_pixels)


def batches(
    found: Iterable[Found | Rejected], prepare: Prepare, max_pixels: int, workers: int, batch_size: int
) -> Iterator[Batch]:
    """Yield `found` in its order, `batch_size` entries at a time, decoded and brought to one size by `prepare`.

    `found` is taken from no more than two batches ahead.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        entries = _in_order(found, lambda entry: _read(entry, prepare, max_pixels), pool, 2 * batch_size)
        while part := list(islice(entries, batch_size)):
            good = [entry for entry in part if not isinstance(entry, Rejected)]
            rejected = [entry for entry in part if isinstance(entry, Rejected)]
            yield Batch([name for name, _ in good], [image for _, image in good], rejected)


def _in_order(
    found: Iterable[Found | Rejected], work: Callable, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[tuple[str, np.ndarray] | Rejected]:
    waiting: deque[Future] = deque()
    try:
        for entry in found:
            waiting.append(pool.submit(work, entry))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # whoever stops here does not wait for all that was asked for
        for future in waiting:
            future.cancel()


def _read(entry: Found | Rejected, prepare: Prepare, max_pixels: int) -> tuple[str, np.ndarray] | Rejected:
    if isinstance(entry, Rejected):
        return entry
    try:
        return entry.name, prepare(read_photograph(entry.path, max_pixels))
    except BadImage as error:
        # The decoder names the limit after the key of params.yaml, which does not hold here.
        reason = " ".join(error.reason.replace("ingest.max_pixels", "--max-pixels").split())
        return Rejected(entry.name, reason)
