"""Packed arrays on disk: memory-mapped, read by whole batches, written in one pass and moved into place at the end."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.tables import read_table
from defectdistill.files import digest, writing

INDEX = "index.csv"
_RESTORE = "restore it with `dvc checkout` or `dvc repro`"


def read_index(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a folder's index.csv, in the order of its arrays."""
    return read_table(folder / INDEX)


def open_array(path: Path) -> np.ndarray:
    """Return an .npy file memory-mapped for reading; raises FileNotFoundError or ValueError naming a damaged file.

    What would have to be unpickled, an archive of arrays, and a header that promises more than the file are damaged.
    """
    try:
        # An array without rows cannot be mapped, and needs no memory either.
        array = np.load(path, mmap_mode="r") if path.stat().st_size > 128 else np.load(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} cannot be read (it is missing); restore it with `dvc checkout` or `dvc repro`"
        ) from error
    except (ValueError, OSError, EOFError, MemoryError) as error:
        raise ValueError(f"{path} cannot be read ({error}); restore it with `dvc checkout` or `dvc repro`") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise ValueError(f"{path} cannot be read (an archive of arrays, not one); restore it with `dvc checkout`")
    return array


def create_array(path: Path, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """Return a new .npy file memory-mapped for writing, whose room on the disk is taken.

    Without that, filling it on a full disk would end the process by a signal; so it is an OSError here, with the path.
    """
    with writing(path):
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        if hasattr(os, "posix_fallocate"):
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def labels_of(folder: Path) -> np.ndarray:
    """Return the class indices of a folder's images, int64 (N,)."""
    return np.array([int(row["label"]) for row in read_index(folder)], dtype=np.int64)


def masked_in(folder: Path, but: str = "none") -> np.ndarray:
    """Return which of a folder's images have a mask, whatever it shows: bool (N,); without a word of masks none has.

    Those of classes without defects, which need none, count as such, unless it is said: `but="normal"`.
    """
    without = {"none", but}
    return np.array([row.get("mask_source", "none") not in without for row in read_index(folder)], dtype=bool)


def contents(folder: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a folder's images and index: what a store of features belongs to."""
    return digest([folder / INDEX, folder / "images.npy"], folder)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends without an error.

    A run that is cut off leaves the old folder, or none, never half of one.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def evenly(items: Sequence[Any], count: int) -> Sequence[Any]:
    """Return `count` of the items, spread evenly over them, all of them if there are fewer; an array gives an array."""
    rows = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return np.array(items[rows]) if isinstance(items, np.ndarray) else [items[row] for row in rows]
