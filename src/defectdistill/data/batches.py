"""Whole batches straight from packed arrays: one fancy index an array, no per-image Python."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from defectdistill.data.packed import labels_of, open_array, read_index

EPOCHS = 1_000_003  # more than a training has, so that no two seeds share an epoch's order
GPU_SHARE = 0.5  # of its free memory: the rest is for the network


class PackedBatches(Dataset):
    """Arrays of equal length N, indexed by a list of rows: {name: tensor (B, …)} in the arrays' own dtypes.

    With `on_gpu` the arrays are copied to the current CUDA device at the first batch, if half of its free memory
    holds them, and every batch is gathered there.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], rows: np.ndarray | None = None, on_gpu: bool = False):
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"arrays of unequal length {lengths}: they must belong to the same images")
        self.arrays = arrays
        self.rows = np.arange(next(iter(lengths.values()))) if rows is None else rows
        self.on_gpu = on_gpu
        self.resident: dict[str, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, picked: list[int]) -> dict[str, torch.Tensor]:
        rows = self.rows[picked]
        if self.on_gpu and self.resident is None:
            self.resident = resident_on_gpu(self.arrays)
        if self.resident:
            index = torch.from_numpy(rows).to("cuda", non_blocking=True)
            return {name: array[index] for name, array in self.resident.items()}
        return {name: torch.from_numpy(np.asarray(array[rows])) for name, array in self.arrays.items()}


def resident_on_gpu(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Copy the arrays to the current CUDA device; empty if half of its free memory does not hold them."""
    free, _ = torch.cuda.mem_get_info()
    if sum(array.nbytes for array in arrays.values()) > GPU_SHARE * free:
        return {}
    return {name: torch.from_numpy(np.array(array)).to("cuda") for name, array in arrays.items()}


def place() -> tuple[int, int]:
    """Return (rank, number of processes) of a data-parallel training, (0, 1) when training alone."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


class Shares(BatchSampler):
    """This process's rows of each global batch of `batch_size` rows; all of them when training alone.

    In training every process takes part in every step and batch norm needs two images: a smaller last batch is left
    out of the epoch. In validation a process without a row skips the batch. The order of an epoch depends on the seed
    and the epoch alone, so that a restarted training goes on in the same one.
    """

    def __init__(self, sampler: RandomSampler | SequentialSampler, batch_size: int, seed: int | None):
        super().__init__(sampler, batch_size, drop_last=False)
        self.seed = seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the order of an epoch; Lightning calls it before each."""
        if self.seed is not None:
            self.sampler.generator.manual_seed(self.seed * EPOCHS + epoch)

    def smallest(self) -> int:
        """Return how many rows a global batch must have."""
        return 1 if self.seed is None else max(2, place()[1])

    def __iter__(self) -> Iterator[list[int]]:
        rank, processes = place()
        for rows in super().__iter__():
            if len(rows) >= self.smallest() and rows[rank::processes]:
                yield rows[rank::processes]

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest >= self.smallest())


def batches(dataset: PackedBatches, batch_size: int, seed: int | None = None) -> DataLoader:
    """Return a loader of whole batches: shuffled anew each epoch with `seed` to train on, in order without one."""
    sampler = SequentialSampler(dataset) if seed is None else RandomSampler(dataset, generator=torch.Generator())
    return DataLoader(dataset, sampler=Shares(sampler, batch_size, seed), batch_size=None)


def image_batches(
    folder: Path,
    batch_size: int,
    seed: int | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    on_gpu: bool = False,
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "label": int64 (B,)} and of the `extra` arrays beside them."""
    arrays = {"image": open_array(folder / "images.npy"), "label": labels_of(folder)}
    return batches(PackedBatches(arrays | dict(extra or {}), on_gpu=on_gpu), batch_size, seed)


def mask_batches(folder: Path, batch_size: int, seed: int | None = None, on_gpu: bool = False) -> DataLoader:
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
    return batches(PackedBatches(arrays, rows, on_gpu), batch_size, seed)
