"""What the frozen teacher says of every image, on disk: packed fp16 arrays in NHWC and a manifest beside them.

One folder a split, one array a level (`train/stride8.npy`, (N, H, W, C)). The manifest names the teacher's content
hash, the images that were shown and every array, so that a store of another teacher, of other images, or half a store
is refused by name instead of being learned from. Arrays of another kind (class maps, pooled evidence) can join.
"""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, StrictBool, StrictInt, ValidationError

from defectdistill.data.packed import contents, open_array
from defectdistill.data.tables import inside, read_json

MANIFEST = "manifest.json"
_AGAIN = "run `dvc repro freeze`"


class StoredArray(BaseModel):
    """What a manifest says of an array."""

    stride: StrictInt
    shape: list[StrictInt]


class StoredSplit(BaseModel):
    """What a manifest says of a split: the hash of the images, and the arrays by name."""

    images: str
    arrays: dict[str, StoredArray]


class Manifest(BaseModel):
    """The form of a manifest."""

    teacher: str
    stored: StrictBool
    bytes: StrictInt
    splits: dict[str, StoredSplit]


def read_manifest(folder: Path, teacher: str) -> dict:
    """Return a store's manifest: `stored` (whether there are arrays), `bytes` (that they take or would), `splits`.

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


def open_store(folder: Path, teacher: str, split: str, images: Path, strides: list[int]) -> dict[int, np.ndarray]:
    """Return the stored features of a split as {stride: float16 (N, H, W, C), memory-mapped}.

    Refuses by name what `read_manifest` does and, with ValueError, a store that is partial or of other images than
    those in `images`, and a stride that is not stored.
    """
    stored = read_manifest(folder, teacher)["splits"].get(split)
    if stored is None:
        raise ValueError(f"{folder} holds no features of the split {split!r}; {_AGAIN}")
    if stored["images"] != contents(images):
        raise ValueError(f"{folder} is stale: its features are not those of {images}; {_AGAIN}")
    by_stride = {entry["stride"]: (name, tuple(entry["shape"])) for name, entry in stored["arrays"].items()}
    arrays = {}
    for stride in strides:
        if stride not in by_stride:
            raise ValueError(
                f"distill.levels names stride {stride}, but {folder} holds {sorted(by_stride)}: "
                "add it to freeze.levels, or take it out of distill.levels"
            )
        name, shape = by_stride[stride]
        arrays[stride] = open_array(inside(folder / split, f"{name}.npy"))
        if arrays[stride].shape != shape:
            raise ValueError(
                f"{folder}/{split}/{name}.npy is {arrays[stride].shape}, its manifest says {shape}: partial"
            )
    return arrays
