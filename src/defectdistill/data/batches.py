"""Whole batches straight from packed arrays: one fancy index an array, no per-image Python."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler

from defectdistill.data.dihedral import WAY, Ways
from defectdistill.data.packed import labels_of, masked_in, open_array
from defectdistill.data.samplers import Shares, TwoParts, beside_labelled

NO_LABEL = -100  # what torch's cross-entropy ignores
GPU_SHARE = 0.5  # of its memory, for all data sets together: the rest is for the network


class PackedBatches(Dataset):
    """Arrays of equal length N, indexed by a list of rows: {name: tensor (B, …)} in the arrays' own dtypes.

    With `on_gpu` the arrays are copied to the current CUDA device at the first batch, if that leaves half of its
    memory free, and every batch is gathered there. With `ways` a batch also says how each image is to be laid.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        rows: np.ndarray | None = None,
        on_gpu: bool = False,
        ways: Ways | None = None,
    ):
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"arrays of unequal length {lengths}: they must belong to the same images")
        self.arrays = arrays
        self.rows = np.arange(next(iter(lengths.values()))) if rows is None else rows
        self.on_gpu = on_gpu
        self.ways = ways
        self.resident: dict[str, torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, picked: list[int]) -> dict[str, torch.Tensor]:
        rows = self.rows[picked]
        if self.on_gpu and self.resident is None:
            self.resident = resident_on_gpu(self.arrays)
        if self.resident:
            index = torch.from_numpy(rows).to("cuda", non_blocking=True)
            batch = {name: array[index] for name, array in self.resident.items()}
        else:
            batch = {name: torch.from_numpy(np.asarray(array[rows])) for name, array in self.arrays.items()}
        if self.ways is not None:
            way = torch.from_numpy(self.ways.drawn[rows])
            batch[WAY] = way.to("cuda", non_blocking=True) if self.resident else way
        return batch

    def set_epoch(self, epoch: int) -> None:
        """Draw the ways of an epoch."""
        if self.ways is not None:
            self.ways.set_epoch(epoch)


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
        device = max((next(iter(part.values())).device for part in parts), key=lambda device: device.type == "cuda")
        return {name: torch.cat([part[name].to(device) for part in parts]) for name in parts[0]}

    def set_epoch(self, epoch: int) -> None:
        """Draw the ways of an epoch."""
        self.first.set_epoch(epoch)
        self.second.set_epoch(epoch)


def resident_on_gpu(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Copy the arrays to the current CUDA device; empty if half of its memory would not stay free."""
    free, total = torch.cuda.mem_get_info()
    if free - sum(array.nbytes for array in arrays.values()) < (1 - GPU_SHARE) * total:
        return {}
    return {name: torch.from_numpy(np.array(array)).to("cuda") for name, array in arrays.items()}


def batches(
    dataset: PackedBatches | JoinedBatches, batch_size: int, seed: int | None = None, sampler: TwoParts | None = None
) -> DataLoader:
    """Return a loader of whole batches: in order without a `seed`, with one shuffled anew each epoch to train on, or as
    the `sampler` says.
    """
    if seed is None:
        sampler = SequentialSampler(dataset)
    elif isinstance(dataset, JoinedBatches):
        sampler = beside_labelled(len(dataset.first), len(dataset.second), batch_size)
    elif sampler is None:
        sampler = RandomSampler(dataset, generator=torch.Generator())
    return DataLoader(dataset, sampler=Shares(sampler, batch_size, seed, dataset.set_epoch), batch_size=None)


def image_batches(
    folder: Path,
    batch_size: int,
    seed: int | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    on_gpu: bool = False,
    further: tuple[Path, Mapping[str, np.ndarray]] | None = None,
    dihedral: bool = False,
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "label": int64 (B,)} and of the `extra` arrays beside them.

    `further` is a folder of images without a label and its arrays of the same names as `extra`: with the
    label NO_LABEL, half of each batch or as `beside_labelled` says. With `dihedral` and a seed a batch also says how
    its images are to be laid (`WAY`).
    """

    def packed(arrays: Mapping[str, np.ndarray]) -> PackedBatches:
        ways = Ways(len(arrays["label"]), seed) if dihedral and seed is not None else None
        return PackedBatches(arrays, on_gpu=on_gpu, ways=ways)

    images = packed({"image": open_array(folder / "images.npy"), "label": labels_of(folder)} | dict(extra or {}))
    if further is None:
        return batches(images, batch_size, seed)
    more = open_array(further[0] / "images.npy")
    unlabelled = {"image": more, "label": np.full(len(more), NO_LABEL, dtype=np.int64)} | dict(further[1])
    return batches(JoinedBatches(images, packed(unlabelled)), batch_size, seed)


def mask_batches(
    folder: Path, batch_size: int, seed: int | None = None, on_gpu: bool = False, every: bool = False
) -> DataLoader:
    """Return batches of {"image": uint8 (B, S, S, 3), "mask": uint8 (B, S, S), "label", "masked"}.

    `label` int64 (B,); `masked` float32 (B,), 1 where there is a mask: everywhere, unless `every` image is wanted.
    Where fewer than half of those of defects have one, half of each training batch is of these: few masks among many
    labels would be seen so seldom that little is learned from them.
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
    if not every:
        return batches(PackedBatches(arrays, np.flatnonzero(masked), on_gpu), batch_size, seed)
    drawn = masked_in(folder, but="normal")
    if seed is None or drawn.sum() >= (masked == 0).sum():
        return batches(PackedBatches(arrays, on_gpu=on_gpu), batch_size, seed)
    others, known = np.flatnonzero(~drawn), np.flatnonzero(drawn)
    sampler = TwoParts(len(others), len(known), batch_size, len(masked), batch_size // 2)
    return batches(PackedBatches(arrays, np.concatenate([others, known]), on_gpu), batch_size, seed, sampler)
