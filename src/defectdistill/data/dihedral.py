"""The eight ways to lay a photograph (the dihedral group D4), drawn anew for every image and epoch.

A surface has no way up, and few photographs do not show all of them. The draw comes with the batch, under `WAY`, and is
carried out in the training step, so that a teacher is asked about the image as it stands in the arrays and what it
said of each place is laid with the image.
"""

from functools import cache

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

    One gather, since a loop over the ways would wait for the GPU. Raises ValueError for an array that is not square.
    """
    count, height, width = array.shape[:3]
    if height != width:
        raise ValueError(f"an array of {height} x {width} places cannot be laid every way: expected a square")
    places = places_of(height).to(array.device)[ways]  # (B, S²)
    images = torch.arange(count, device=array.device)[:, None]
    return array.reshape(count, height * width, *array.shape[3:])[images, places].reshape(array.shape)


@cache
def places_of(side: int) -> torch.Tensor:
    """Return, for each way, where each place of a square comes from: int64 (`WAYS`, side²)."""
    places = torch.arange(side * side).reshape(side, side)
    turned = [torch.rot90(places, turns) for turns in range(4)]
    return torch.stack([*turned, *(way.flip(1) for way in turned)]).flatten(1)
