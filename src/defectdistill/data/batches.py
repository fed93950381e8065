"""Whole batches straight from packed arrays: one fancy index an array, no per-image Python."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler

from defectdistill.data.packed import labels_of, masked_in, open_array

EPOCHS = 1_000_003  # more than a training has, so that no two seeds share an epoch's order
NO_LABEL = -100  # what torch's cross-entropy ignores
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


class JoinedBatches(Dataset):
    """Two data sets of the same keys, indexed as one after the other by a list of rows."""

    def __init__(self, first: PackedBatches, second: PackedBatches):
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, picked: list[int]) -> dict[str, torch.Tensor]:
        border = len(self.first)
        parts = [self.first[[row for row in picked if row < border]]]
        parts.append(self.second[[row - border for row in picked if row >= border]])
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


class HalfAndHalf(Sampler):
    """Rows of a `JoinedBatches` to train on: half of each batch from its first part, half from its second.

    An epoch has as many rows as the first part: with a second one there are not more steps, so trainings stay
    comparable. Within an epoch no row of the first part comes twice; the second is repeated where it is small.
    """

    def __init__(self, first: int, second: int, batch_size: int):
        self.first, self.second, self.batch_size = first, second, batch_size
        self.generator = torch.Generator()

    def __len__(self) -> int:
        return self.first

    def __iter__(self) -> Iterator[int]:
        own = iter(torch.randperm(self.first, generator=self.generator).tolist())
        rounds = -(-self.first // self.second)
        others = [torch.randperm(self.second, generator=self.generator) + self.first for _ in range(rounds)]
        others = iter(torch.cat(others).tolist())
        for start in range(0, self.first, self.batch_size):
            rows = min(self.batch_size, self.first - start)
            yield from islice(own, rows - rows // 2)
            yield from islice(others, rows // 2)


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

    def __init__(self, sampler: RandomSampler | HalfAndHalf | SequentialSampler, batch_size: int, seed: int | None):
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


def batches(dataset: PackedBatches | JoinedBatches, batch_size: int, seed: int | None = None) -> DataLoader:
    """Return a loader of whole batches: shuffled anew each epoch with `seed` to train on, in order without one."""
    if seed is None:
        sampler = SequentialSampler(dataset)
    elif isinstance(dataset, JoinedBatches):
        sampler = HalfAndHalf(len(dataset.first), len(dataset.second), batch_size)
    else:
        sampler = RandomSampler(dataset, generator=torch.Generator())
    return DataLoader(dataset, sampler=Shares(sampler, batch_size, seed), batch_size=None)


def image_batches(
    folder: Path,
    batch_size: int,
    seed: int | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    on_gpu: bool = False,
    further: tuple[Path, Mapping[str, np.ndarray]] | None = None,
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "label": int64 (B,)} and of the `extra` arrays beside them.

    `further` is a folder of images without a label and its arrays of the same names as `extra`: half of each batch,
    with the label NO_LABEL.
    """
    arrays = {"image": open_array(folder / "images.npy"), "label": labels_of(folder)}
    images = PackedBatches(arrays | dict(extra or {}), on_gpu=on_gpu)
    if further is None:
        return batches(images, batch_size, seed)
    more = open_array(further[0] / "images.npy")
    arrays = {"image": more, "label": np.full(len(more), NO_LABEL, dtype=np.int64)} | dict(further[1])
    return batches(JoinedBatches(images, PackedBatches(arrays, on_gpu=on_gpu)), batch_size, seed)


def mask_batches(
    folder: Path, batch_size: int, seed: int | None = None, on_gpu: bool = False, every: bool = False
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "mask": uint8 (B, S, S), "label", "masked"}.

    `label` int64 (B,); `masked` float32 (B,), 1 where there is a mask: everywhere, unless `every` image is wanted.
    Raises ValueError where no mask shows a defect: there is nothing to learn from.
    """
    masked = masked_in(folder).astype(np.float32)
    masks = open_array(folder / "masks.npy")
    if not any(masks[row].any() for row in np.flatnonzero(masked)):
        raise ValueError(
            f"{folder}: {int(masked.sum())} images have a mask and none shows a defect, so a teacher cannot learn; "
            "give masks, or set prepare.masks to given_else_threshold"
        )
    arrays = {"image": open_array(folder / "images.npy"), "mask": masks, "label": labels_of(folder), "masked": masked}
    rows = np.arange(len(masked)) if every else np.flatnonzero(masked)
    return batches(PackedBatches(arrays, rows, on_gpu), batch_size, seed)
