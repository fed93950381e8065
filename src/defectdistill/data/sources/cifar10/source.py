"""CIFAR-10 as it is published, or any set of small images in the same order: train/CLASS and test/CLASS.

The split of the set is kept (`prepare.protocol: given`).
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.sources.cifar10.batches import Batch, binary_batch, python_batch
from defectdistill.data.sources.folder.walk import find_images, leads_out

DRAWN = False  # photographs

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDERS = ("", "cifar-10-batches-py", "cifar-10-batches-bin")  # the official archives hold such a folder
TRAIN, TEST = tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",)


def samples(path: Path, per_class: int | None = None) -> Iterator[Sample | Rejected]:
    """Yield the images with class and split: from the official batches under `path`, else from its class folders.

    Of each class and split the first `per_class`, None: all. Raises `DataError` where neither is there, and for a batch
    that is missing or damaged.
    """
    taken: Counter[tuple] = Counter()
    for item in found(path):
        if isinstance(item, Sample):
            taken[item.label, item.split] += 1
            if per_class is not None and taken[item.label, item.split] > per_class:
                continue
        yield item


def found(path: Path) -> Iterator[Sample | Rejected]:
    """Yield all that there is, see `samples`."""
    for folder in (path / name for name in FOLDERS):
        for suffix, read in (("", python_batch), (".bin", binary_batch)):
            if (folder / f"{TRAIN[0]}{suffix}").is_file():
                yield from of_batches(path, folder, suffix, read)
                return
    if not all((path / split).is_dir() for split in ("train", "test")):
        raise DataError(
            f"{path} has neither the official batches ({TRAIN[0]} … {TEST[0]}, with .bin in the binary version) nor "
            "the folders train and test with a folder for each class; give the folder that holds them by ingest.path"
        )
    yield from of_folders(path)


def of_batches(root: Path, folder: Path, suffix: str, read) -> Iterator[Sample]:
    """Yield the images of all batches of one version."""
    for split, names in (("train", TRAIN), ("test", TEST)):
        number = 0
        for name in (f"{stem}{suffix}" for stem in names):
            file = folder / name
            if not file.is_file() or leads_out(file, root):
                raise DataError(
                    f"{folder} has no {name}: all of {', '.join((*TRAIN, *TEST))} are needed; copy it there"
                )
            for image, label in pairs(file, read):
                picture = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
                yield Sample(f"{split}/{CLASSES[label]}/{number:05d}.png", CLASSES[label], picture, split=split)
                number += 1


def pairs(file: Path, read) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the images of a file with their labels; raises `DataError` for a damaged one."""
    try:
        batch: Batch = read(file)
    except (ValueError, OSError) as error:
        raise DataError(f"{error}; get the file again") from error
    yield from zip(batch.images, batch.labels, strict=True)


def of_folders(root: Path) -> Iterator[Sample | Rejected]:
    """Yield the images of train/CLASS and test/CLASS."""
    files, rejected = find_images(root)
    yield from rejected
    for file in files:
        split, *middle = file.parts[:-1]
        if split not in ("train", "test") or len(middle) != 1:
            yield Rejected(str(file), "it lies neither in train/CLASS nor in test/CLASS; move it there")
        else:
            yield Sample(str(file), middle[0], root / file, split=split)
