"""What the frozen teacher says of every image, on disk: packed fp16 arrays in NHWC and a manifest beside them.

One folder a split, one array a part (`train/features8.npy`, (N, H, W, C), and class maps and evidence as `Answer`
names them). The manifest names the teacher's content hash, the images that were shown, whose evidence a copy has and
every array, so that a store of another teacher, of other images, or half a store is refused by name instead of being
learned from, and so that two stores that differ are two inputs of a training.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, StrictBool, StrictInt, ValidationError

from defectdistill.data.packed import contents, open_array
from defectdistill.data.tables import inside, read_json

MANIFEST = "manifest.json"
_AGAIN = "run `dvc repro freeze`"


class StoredArray(BaseModel):
    """What a manifest says of an array."""

    shape: list[StrictInt]


class StoredSplit(BaseModel):
    """What a manifest says of a split: the hash of the images, and the arrays by name."""

    images: str
    arrays: dict[str, StoredArray]


class Manifest(BaseModel):
    """The form of a manifest."""

    teacher: str
    stored: StrictBool
    evidence_from: Literal["original", "copy"]
    bytes: StrictInt
    splits: dict[str, StoredSplit]


def read_manifest(folder: Path, teacher: str) -> dict:
    """Return a store's manifest: `stored` (whether all is there, not only the evidence), `evidence_from` (whose
    evidence a copy has), `bytes` (that all takes or would), `splits`.

    `teacher` is the content hash of the teacher that is to be distilled. Refuses by name a store that is missing
    (FileNotFoundError), a manifest that is damaged and one of another teacher (ValueError).
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: no complete feature store in {folder}; {_AGAIN}")
    manifest = read_json(path)
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise ValueError(f"{path} is no manifest of a feature store ({key}: {problem['msg']}); {_AGAIN}") from None
    if manifest["teacher"] != teacher:
        raise ValueError(
            f"{folder} is stale: its features are of the teacher {manifest['teacher'][:12]}…, not of {teacher[:12]}…; "
            "run `dvc repro freeze`"
        )
    return manifest


def open_store(folder: Path, teacher: str, split: str, images: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Return stored arrays of a split by name (see `Answer.arrays`), float16, memory-mapped.

    Refuses by name what `read_manifest` does and, with ValueError, a store that is partial or of other images than
    those in `images`, and an array that is not stored.
    """
    stored = read_manifest(folder, teacher)["splits"].get(split)
    if stored is None:
        raise ValueError(f"{folder} holds no features of the split {split!r}; {_AGAIN}")
    if stored["images"] != contents(images):
        raise ValueError(f"{folder} is stale: its features are not those of {images}; {_AGAIN}")
    arrays = {}
    for name in names:
        if name not in stored["arrays"]:
            raise ValueError(
                f"distilling needs the teacher's {name}, but {folder} holds {', '.join(sorted(stored['arrays']))}: "
                "its strides stand in freeze.levels, whether it has class maps and evidence in freeze.class_maps"
            )
        arrays[name] = open_array(inside(folder / split, f"{name}.npy"))
        if list(arrays[name].shape) != stored["arrays"][name]["shape"]:
            raise ValueError(
                f"{folder}/{split}/{name}.npy is {arrays[name].shape}, its manifest says "
                f"{stored['arrays'][name]['shape']}: partial"
            )
    return arrays
