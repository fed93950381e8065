"""The eight ways to lay a photograph (the dihedral group D4), drawn anew for every image and epoch.

A surface has no way up, and few photographs do not show all of them. The draw comes with the batch, under `WAY`, and is
carried out in the training step, so that a teacher is asked about the image as it stands in the arrays and what it
said of each place is laid with the image.
"""

import numpy as np
import torch

WAY = "way"
WAYS = 8


class Ways:
    """One of the `WAYS` for each of `count` rows; what it is depends on the seed, the epoch and the row alone."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed = count, seed
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draw those of an epoch."""
        self.drawn = np.random.default_rng((self.seed, epoch)).integers(WAYS, size=self.count)


def laid(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a batch whose images and maps, all arrays (B, S, S, …), are laid as its `WAY` (B,) says, and without it.

    Each image and all that is known of its places go the same way. A batch without `WAY` is returned as it is.
    """
    if WAY not in batch:
        return batch
    ways = batch[WAY]
    return {name: lay(array, ways) if array.ndim > 2 else array for name, array in batch.items() if name != WAY}


def lay(array: torch.Tensor, ways: torch.Tensor) -> torch.Tensor:
    """Return (B, S, S, …), each of B laid as `ways` (B,) says: turned by 90° (way mod 4) times, from 4 on mirrored too.

    Each of a way's three bits is one choice for the whole batch, so that a GPU is not waited for. Raises ValueError for
    an array that is not square.
    """
    height, width = array.shape[1:3]
    if height != width:
        raise ValueError(f"an array of {height} x {width} places cannot be laid every way: expected a square")
    for bit, move in enumerate((quarter_turn, half_turn, mirror)):
        chosen = (ways >> bit & 1).bool().view(-1, *[1] * (array.ndim - 1))
        array = torch.where(chosen, move(array), array)
    return array


def quarter_turn(array: torch.Tensor) -> torch.Tensor:
    """Return (B, S, S, …) turned by 90°."""
    return array.rot90(1, (1, 2))


def half_turn(array: torch.Tensor) -> torch.Tensor:
    """Return (B, S, S, …) turned by 180°."""
    return array.flip((1, 2))


def mirror(array: torch.Tensor) -> torch.Tensor:
    """Return (B, S, S, …) with left and right exchanged."""
    return array.flip(2)
