"""Which rows a batch has: in another order each epoch, up to half of them from a second part, shared by processes."""

from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import distributed
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SequentialSampler

TRAINED_TOGETHER = 2  # images that a step needs, for batch norm
EPOCHS = 1_000_003  # more than a training has, so that no two seeds share an epoch's order or dropout


def batches_of(rows: int, batch_size: int, smallest: int) -> int:
    """Return how many batches an epoch of `rows` images has, if a last one of fewer than `smallest` is left out."""
    whole, rest = divmod(rows, batch_size)
    return whole + (rest >= smallest)


class TwoParts(Sampler):
    """Rows of `first` images and of `second` more behind them to train on: half of each batch is of the second part,
    or `most` rows, if that is less.

    An epoch has `rows` rows. Within it no row of the first part comes twice; the second is repeated where it is small,
    and takes the place of the first where that has run out.
    """

    def __init__(self, first: int, second: int, batch_size: int, rows: int, most: int):
        self.first, self.second, self.batch_size, self.rows, self.most = first, second, batch_size, rows, most
        self.generator = torch.Generator()

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[int]:
        own = iter(torch.randperm(self.first, generator=self.generator).tolist())
        rounds = -(-self.rows // self.second)
        others = [torch.randperm(self.second, generator=self.generator) + self.first for _ in range(rounds)]
        others = iter(torch.cat(others).tolist())
        for start in range(0, self.rows, self.batch_size):
            rows = min(self.batch_size, self.rows - start)
            of_first = list(islice(own, rows - min(rows // 2, self.most)))
            yield from of_first
            yield from islice(others, rows - len(of_first))


def beside_labelled(labelled: int, unlabelled: int, batch_size: int) -> TwoParts:
    """Return the rows of labelled images and unlabelled ones behind them.

    There are not more steps than without the others, so that trainings stay comparable. Half of each batch has no
    label, or less where there are fewer than half as many of these as of labelled ones: five pictures would be shown a
    hundred times an epoch.
    """
    most = -(-batch_size * unlabelled // labelled)
    return TwoParts(labelled, unlabelled, batch_size, labelled, most)


def rank_and_processes() -> tuple[int, int]:
    """Return (rank, number of processes) of a data-parallel training, (0, 1) when training alone."""
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)


class Shares(BatchSampler):
    """This process's rows of each global batch of `batch_size` rows; all of them when training alone.

    In training every process takes part in every step and batch norm needs two images: a smaller last batch is left
    out of the epoch. In validation a process without a row skips the batch. The order of an epoch depends on the seed
    and the epoch alone, so that a restarted training goes on in the same one. `begin` is called with each epoch that is
    trained in.
    """

    def __init__(
        self,
        sampler: RandomSampler | TwoParts | SequentialSampler,
        batch_size: int,
        seed: int | None,
        begin: Callable[[int], None],
    ):
        super().__init__(sampler, batch_size, drop_last=False)
        self.seed = seed
        self.begin = begin
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the order of an epoch, and how its images lie; Lightning calls it before each."""
        if self.seed is not None:
            self.sampler.generator.manual_seed(self.seed * EPOCHS + epoch)
            self.begin(epoch)

    def smallest(self) -> int:
        """Return how many rows a global batch must have."""
        return 1 if self.seed is None else max(TRAINED_TOGETHER, rank_and_processes()[1])

    def __iter__(self) -> Iterator[list[int]]:
        rank, processes = rank_and_processes()
        for rows in super().__iter__():
            if len(rows) >= self.smallest() and rows[rank::processes]:
                yield rows[rank::processes]

    def __len__(self) -> int:
        return batches_of(len(self.sampler), self.batch_size, self.smallest())
