"""Files on disk: written whole or not at all, and named by their content."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 22  # bytes read at a time


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name `path` in an error of the disk that names none: the system tells where only when a file is opened."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; what stands there at the end takes its place in one step.

    A process that is killed leaves the earlier file as it was, and so does a full disk.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        with writing(path):
            yield beside
            with open(beside, "rb") as written:
                os.fsync(written.fileno())  # or a machine that loses power may keep the name without the content
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def digest(paths: Iterable[Path], base: Path = Path()) -> str:
    """Return the SHA-256 (64 hex digits) of files, and of all files under folders, with their names under `base`."""
    total = hashlib.sha256()
    for path in paths:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            total.update(f"{file.relative_to(base).as_posix()}\0{file.stat().st_size}\0".encode())
            with open(file, "rb") as content:
                while block := content.read(BLOCK):
                    total.update(block)
    return total.hexdigest()
