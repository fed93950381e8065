"""Reads what a person dropped on the page: within limits, refused with words that the person can act on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.app.limits import MEGABYTE, Limits
from defectdistill.data.images import BadImage, decode_image


@dataclass(frozen=True)
class Upload:
    """A file that arrived: what the person calls it, and where it lies until the page is closed."""

    name: str
    path: Path


def accept(name: str, path: str, folder: Path) -> Upload:
    """Return an upload whose path the browser gave; raises ValueError for one outside of the folder of uploads.

    The browser is not to be believed: it could name any file of this machine.
    """
    resolved = Path(path).resolve() if "\0" not in path else Path("/")
    if not resolved.is_relative_to(folder.resolve()) or not resolved.is_file():
        raise ValueError(f"{path!r} is not a file that was uploaded here; drop the photograph again")
    return Upload(name, resolved)


def read(upload: Upload, limits: Limits) -> tuple[bytes, np.ndarray]:
    """Return the file's bytes and its image, uint8 RGB (H, W, 3); raises `BadImage` with the reason."""
    try:
        size = upload.path.stat().st_size
        if size > limits.bytes:
            raise BadImage(too_long(size, limits))
        data = upload.path.read_bytes()
    except FileNotFoundError:
        raise BadImage("it is no longer here, because the page was open for too long; drop it again") from None
    try:
        return data, decode_image(data, limits.pixels)
    except BadImage as error:
        # The limit of this page is not the pipeline's.
        reason = error.reason.replace("raise ingest.max_pixels or shrink it", "make it smaller and drop it again")
        raise BadImage(reason) from error


def too_long(size: int, limits: Limits) -> str:
    """Return why a file of `size` bytes is refused."""
    return f"{size / MEGABYTE:.1f} MB, more than the limit of {limits.megabytes} MB; make it smaller and drop it again"
