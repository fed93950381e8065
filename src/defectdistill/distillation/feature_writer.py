"""Ask the frozen teacher once about every image, and write down what it says (read by `feature_store`)."""

import math
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from defectdistill.data.packed import contents, create_array, open_array, replaced_folder
from defectdistill.data.tables import write_json
from defectdistill.distillation.feature_store import MANIFEST
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.models.normalise import normalise


def write_store(
    folder: Path,
    teacher: Frozen,
    teacher_hash: str,
    splits: dict[str, Path],
    batch_size: int,
    autocast: bool,
    store: str = "always",
    limit_gb: float = math.inf,
) -> dict:
    """Show every image of `splits` ({name: folder with images.npy}) to the teacher once; returns the manifest.

    The whole store is written beside `folder` and moved into place at the end. `autocast` runs the encoder in bf16.
    With `store` 'never', or 'auto' and more than `limit_gb` (10⁹ bytes) to write, the manifest alone is written and
    the teacher is asked while distilling. Raises ValueError if a feature is not finite in fp16 (the teacher diverged).
    """
    size = sum(store_bytes(teacher, images) for images in splits.values())
    stored = store == "always" or (store == "auto" and size <= limit_gb * 1e9)
    manifest = {"teacher": teacher_hash, "stored": stored, "bytes": size, "splits": {}}
    with replaced_folder(folder) as partial:
        for split, images in splits.items() if stored else ():
            (partial / split).mkdir()
            manifest["splits"][split] = {
                "images": contents(images),
                "arrays": write_features(partial / split, teacher, images, batch_size, autocast),
            }
        write_json(partial / MANIFEST, manifest)
    return manifest


def store_bytes(teacher: Frozen, source: Path) -> int:
    """Return how many bytes the features of all images of `source` take in fp16."""
    images = open_array(source / "images.npy")
    if not len(images):
        return 0
    device = next(teacher.parameters()).device
    answer = teacher(normalise(torch.from_numpy(np.array(images[:1])).to(device)))
    return 2 * len(images) * sum(array.numel() for array in answer.arrays().values())


def write_features(folder: Path, teacher: Frozen, source: Path, batch_size: int, autocast: bool) -> dict:
    """Write the arrays of the teacher's answers to the images of `source`; returns {array name: its description}."""
    images = open_array(source / "images.npy")
    device = next(teacher.parameters()).device
    arrays: dict[str, np.ndarray] = {}
    for start in tqdm(range(0, len(images), batch_size), desc=f"teacher on {folder.name}", unit="batch"):
        batch = normalise(torch.from_numpy(np.array(images[start : start + batch_size])).to(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            answer = teacher(batch)
        for name, part in answer.arrays().items():
            values = part.to(torch.float16).cpu().numpy()
            if not np.isfinite(values).all():
                raise ValueError(
                    f"the teacher's {name} is not finite in fp16 (image {start} and after): it diverged; lower "
                    "teacher.lr and train it again"
                )
            if name not in arrays:
                arrays[name] = create_array(folder / f"{name}.npy", values.dtype, (len(images), *values.shape[1:]))
            arrays[name][start : start + batch_size] = values
    return {name: {"shape": list(array.shape)} for name, array in arrays.items()}
