"""The official CIFAR-10 batches, in the Python version (pickled) and the binary one, read without running anything.

A pickle may name any function to be called. Here every name that the official files hold is answered with a stand-in
that only remembers what it was given, and any other name is refused.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

SIDE = 32
PIXELS = 3 * SIDE * SIDE
RECORD = 1 + PIXELS  # bytes of an image in the binary version: its label, then red, green and blue planes
LARGEST = 100_000_000  # bytes of a file; the official ones have 31 million


@dataclass
class Batch:
    """The images uint8 (N, 32, 32, 3) RGB of a file and their labels (N), 0 to 9."""

    images: np.ndarray
    labels: list[int]


class Remembered:
    """Stands in for an array or its type: keeps what the file says of it."""

    def __init__(self, *arguments: Any):
        self.arguments, self.state = arguments, ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


def as_bytes(text: str, encoding: str) -> bytes:
    """Return text as bytes: how Python 3 writes bytes into an old form of pickle."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it has text in the encoding {encoding!r}")
    return text.encode("latin1")


KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class Reader(pickle.Unpickler):
    """Builds dictionaries, lists, texts and numbers, and stand-ins for arrays; refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name; raises UnpicklingError for one that no official file has."""
        if (module, name) in KNOWN:
            return Remembered
        if (module, name) == ("_codecs", "encode"):
            return as_bytes
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no official batch does")


def read_pickled(path: Path) -> dict[str, Any]:
    """Return the dictionary of a file of the Python version, its keys as text.

    Raises ValueError for a file that is no such pickle, is too large or damaged, or asks for anything else.
    """
    check_size(path)
    with path.open("rb") as file:
        values = load(file, path)
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} holds a {type(values).__name__}, expected the dictionary of a CIFAR-10 batch")
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in values.items()}


def load(file: BinaryIO, path: Path) -> Any:
    """Return what a pickle holds; raises ValueError that names the file."""
    try:
        return Reader(file, encoding="bytes").load()
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{path.name} is no CIFAR-10 batch of the Python version: {error}") from None


def check_size(path: Path) -> None:
    """Raise ValueError for a file that is larger than any batch."""
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, a CIFAR-10 batch about 31 million")


def python_batch(path: Path) -> Batch:
    """Return a batch of the Python version; raises ValueError for one that is damaged."""
    values = read_pickled(path)
    data, labels = values.get("data"), values.get("labels")
    content = data.state[-1] if isinstance(data, Remembered) and data.state else None
    if isinstance(content, str):
        content = content.encode("latin1")
    if not isinstance(labels, list) or not isinstance(content, bytes) or len(content) != PIXELS * len(labels):
        raise ValueError(f"{path.name} has no `data` of {PIXELS} bytes for each of its `labels`")
    return checked(np.frombuffer(content, np.uint8).reshape(-1, PIXELS), labels, path)


def binary_batch(path: Path) -> Batch:
    """Return a batch of the binary version; raises ValueError for one that is cut off."""
    check_size(path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if not len(content) or len(content) % RECORD:
        raise ValueError(
            f"{path.name} has {len(content)} bytes, no multiple of the {RECORD} of an image with its label"
        )
    records = content.reshape(-1, RECORD)
    return checked(records[:, 1:], records[:, 0].tolist(), path)


def checked(planes: np.ndarray, labels: list[int], path: Path) -> Batch:
    """Return planes (N, 3072) as images, with their labels; raises ValueError for a label beyond 0 to 9."""
    wrong = [label for label in labels if not (isinstance(label, int) and 0 <= label <= 9)]
    if wrong:
        raise ValueError(f"{path.name} has the label {wrong[0]!r}; expected 0 to 9")
    return Batch(planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels)
