"""Whole batches straight from packed arrays: one fancy index an array, no per-image Python."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from defectdistill.data.packed import labels_of, open_array, read_index


class PackedBatches(Dataset):
    """Arrays of equal length N, indexed by a list of rows: {name: tensor (B, …)} in the arrays' own dtypes."""

    def __init__(self, arrays: Mapping[str, np.ndarray], rows: np.ndarray | None = None):
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"arrays of unequal length {lengths}: they must belong to the same images")
        self.arrays = arrays
        self.rows = np.arange(next(iter(lengths.values()))) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, picked: list[int]) -> dict[str, torch.Tensor]:
        rows = self.rows[picked]
        return {name: torch.from_numpy(np.asarray(array[rows])) for name, array in self.arrays.items()}


def batches(dataset: PackedBatches, batch_size: int, seed: int | None = None) -> DataLoader:
    """Return a loader of whole batches: shuffled anew each epoch with `seed`, in order without one.

    In a shuffled loader a last batch of a single image is left out of the epoch: batch norm cannot learn from it.
    """
    if seed is None:
        sampler, drop_last = SequentialSampler(dataset), False
    else:
        sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(seed))
        drop_last = len(dataset) % batch_size == 1 and len(dataset) > 1
    return DataLoader(dataset, sampler=BatchSampler(sampler, batch_size, drop_last), batch_size=None)


def image_batches(
    folder: Path, batch_size: int, seed: int | None, extra: Mapping[str, np.ndarray] | None = None
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "label": int64 (B,)} and of the `extra` arrays beside them."""
    arrays = {"image": open_array(folder / "images.npy"), "label": labels_of(folder)}
    return batches(PackedBatches(arrays | dict(extra or {})), batch_size, seed)


def mask_batches(folder: Path, batch_size: int, seed: int | None = None) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "mask": uint8 (B, S, S)} of the images that have a mask.

    Raises ValueError where none has, or where every mask is empty: there is nothing to learn from.
    """
    arrays = {"image": open_array(folder / "images.npy"), "mask": open_array(folder / "masks.npy")}
    rows = np.array([row for row, entry in enumerate(read_index(folder)) if entry["mask_source"] != "none"], dtype=int)
    if not any(arrays["mask"][row].any() for row in rows):
        raise ValueError(
            f"{folder}: {len(rows)} images have a mask and none shows a defect, so a teacher cannot learn; "
            "give masks, or set prepare.masks to given_else_threshold"
        )
    return batches(PackedBatches(arrays, rows), batch_size, seed)
