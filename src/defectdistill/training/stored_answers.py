"""What batches carry of the teacher: the arrays that are stored of it, or the true masks in their place."""

from pathlib import Path

import numpy as np
import torch

from defectdistill.data.packed import masked_in, open_array
from defectdistill.distillation.answer import FEATURES, MAPS, SCORES
from defectdistill.distillation.feature_store import open_store, read_manifest
from defectdistill.models.class_map import mask_map

Arrays = dict[str, np.ndarray]


def stored_answers(
    asked: frozenset[str], strides: list[int], store: Path, trained: str, splits: dict[str, Path]
) -> tuple[dict[str, Arrays], frozenset[str]]:
    """Return of each split what of `asked` the store of the teacher `trained` (its hash) holds, and what it does not.

    A store without features may hold the evidence. Raises ValueError for a store that does not fit.
    """
    manifest = read_manifest(store, trained)
    evidence = any(SCORES in split["arrays"] for split in manifest["splits"].values())
    kept = asked if manifest["stored"] else asked & ({"scores"} if evidence else set())
    names = names_of(kept, strides)
    stored = {
        split: open_store(store, trained, split, folder, names) if names else {} for split, folder in splits.items()
    }
    return stored, asked - kept


def names_of(needs: frozenset[str], strides: list[int]) -> list[str]:
    """Return the names of the arrays that a method reads."""
    levels = [name for part, name in (("features", FEATURES), ("maps", MAPS)) if part in needs]
    return [f"{name}{stride}" for name in levels for stride in strides] + [SCORES] * ("scores" in needs)


def mask_arrays(folder: Path, classes: int, strides: list[int]) -> Arrays:
    """Return the true masks of a split in the form of class maps; all zero for images without a mask."""
    count, side = open_array(folder / "images.npy").shape[:2]
    masked = np.flatnonzero(masked_in(folder))
    masks = open_array(folder / "masks.npy") if len(masked) else None
    arrays = {}
    for stride in strides:
        small = -(-side // stride)
        arrays[f"{MAPS}{stride}"] = maps = np.zeros((count, small, small, classes + 1), dtype=np.float16)
        for row in masked:
            mask = torch.from_numpy(np.array(masks[row]))
            maps[row] = mask_map(mask.unsqueeze(0), classes, stride)[0].permute(1, 2, 0).numpy()
    return arrays
