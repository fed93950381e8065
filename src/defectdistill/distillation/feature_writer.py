"""Ask the frozen teacher once about every image, and write down what it says (read by `feature_store`).

A teacher that learned from few masks is wrong about changed copies more often than about photographs as they are. So a
copy's evidence for the classes may be that of its photograph: the student learns to say of the copy what the teacher
says of the original (weak and strong augmentation, as in FixMatch, Sohn et al. 2020).
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from defectdistill.data.packed import contents, create_array, open_array, read_index, replaced_folder
from defectdistill.data.tables import write_json
from defectdistill.distillation.answer import SCORES
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
    evidence_from: str = "copy",
) -> dict:
    """Ask the teacher once about the images of `splits` ({name: folder with images.npy}); returns the manifest.

    The whole store is written beside `folder` and moved into place at the end. `autocast` runs the encoder in bf16.
    With `store` 'never', or 'auto' and more than `limit_gb` (10⁹ bytes) to write, the teacher is asked while
    distilling. With `evidence_from` 'original' a copy's evidence is that of its photograph (see `originals`); this is
    written in any case, since in a step of distilling nobody sees the photograph. Raises ValueError if a feature is
    not finite in fp16 (the teacher diverged).
    """
    size = sum(store_bytes(teacher, images) for images in splits.values())
    stored = store == "always" or (store == "auto" and size <= limit_gb * 1e9)
    evidence = evidence_from == "original" and "scores" in teacher.says
    manifest = {
        "teacher": teacher_hash, "stored": stored, "evidence_from": evidence_from, "bytes": size, "splits": {},
    }  # fmt: skip
    with replaced_folder(folder) as partial:
        for split, images in splits.items() if stored or evidence else ():
            (partial / split).mkdir()
            write = write_features if stored else write_evidence
            arrays = write(partial / split, teacher, images, batch_size, autocast)
            if stored and evidence and arrays:
                arrays[SCORES][:] = arrays[SCORES][originals(images)]
            shapes = {name: {"shape": list(array.shape)} for name, array in arrays.items()}
            manifest["splits"][split] = {"images": contents(images), "arrays": shapes}
        write_json(partial / MANIFEST, manifest)
    return manifest


def originals(source: Path) -> np.ndarray:
    """Return for each row of a folder the row of the photograph that it is a copy of: int64 (N,).

    By the columns `name` and `copy` of its index (0: the photograph itself). A row of which the index does not say it
    (copies that were made before the division have names of their own) is its own.
    """
    index = read_index(source)
    first = {entry["name"]: row for row, entry in enumerate(index) if entry.get("copy", "0") == "0"}
    return np.array([first.get(entry["name"], row) for row, entry in enumerate(index)], dtype=np.int64)


def store_bytes(teacher: Frozen, source: Path) -> int:
    """Return how many bytes the features of all images of `source` take in fp16."""
    images = open_array(source / "images.npy")
    if not len(images):
        return 0
    device = next(teacher.parameters()).device
    answer = teacher(normalise(torch.from_numpy(np.array(images[:1])).to(device)))
    return 2 * len(images) * sum(array.numel() for array in answer.arrays().values())


def write_features(
    folder: Path, teacher: Frozen, source: Path, batch_size: int, autocast: bool
) -> dict[str, np.ndarray]:
    """Write the arrays of the teacher's answers to the images of `source`; returns them by name, memory-mapped."""
    count = len(open_array(source / "images.npy"))
    arrays: dict[str, np.ndarray] = {}
    for start, said in answers(teacher, source, np.arange(count), batch_size, autocast, folder.name):
        for name, values in said.items():
            if name not in arrays:
                arrays[name] = create_array(folder / f"{name}.npy", values.dtype, (count, *values.shape[1:]))
            arrays[name][start : start + len(values)] = values
    return arrays


def write_evidence(
    folder: Path, teacher: Frozen, source: Path, batch_size: int, autocast: bool
) -> dict[str, np.ndarray]:
    """Write the evidence alone, of each copy that of its photograph: copies are not shown to the teacher."""
    rows = originals(source)
    shown = np.unique(rows)
    said = [parts[SCORES] for _, parts in answers(teacher, source, shown, batch_size, autocast, folder.name)]
    if not said:
        return {}
    evidence = create_array(folder / f"{SCORES}.npy", said[0].dtype, (len(rows), *said[0].shape[1:]))
    evidence[:] = np.concatenate(said)[np.searchsorted(shown, rows)]
    return {SCORES: evidence}


def answers(
    teacher: Frozen, source: Path, rows: np.ndarray, batch_size: int, autocast: bool, title: str
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield what the teacher says of these rows of `source`, batch by batch: (position of the first, fp16 arrays)."""
    images = open_array(source / "images.npy")
    device = next(teacher.parameters()).device
    for start in tqdm(range(0, len(rows), batch_size), desc=f"teacher on {title}", unit="batch"):
        batch = normalise(torch.from_numpy(np.array(images[rows[start : start + batch_size]])).to(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            answer = teacher(batch)
        said = {name: part.to(torch.float16).cpu().numpy() for name, part in answer.arrays().items()}
        for name, values in said.items():
            if not np.isfinite(values).all():
                raise ValueError(
                    f"the teacher's {name} is not finite in fp16 (image {rows[start]} and after): it diverged; lower "
                    "teacher.lr and train it again"
                )
        yield start, said
