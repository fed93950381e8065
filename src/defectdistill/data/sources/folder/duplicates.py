"""Finds files with the same bytes: one of them stays if they agree on the class, none if they do not."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected


def find_duplicates(
    root: Path, classes: Mapping[PurePosixPath, str | None], masks: Mapping[PurePosixPath, PurePosixPath | None]
) -> list[Rejected]:
    """Return the images to leave out because another file holds the same bytes, with the reason.

    Copies under one class: one with a mask stays, else the one nearest to the top (a nested stray copy is the deeper
    one), else the first by name; kept twice, a photograph would only weigh double. A labelled image wins over its copy
    without a label. Copies under two classes are all left out: which label is right, a person must say.
    """
    by_size = defaultdict(list)
    for image in classes:
        size = (root / image).stat().st_size
        if size:  # empty files are refused with a reason of their own
            by_size[size].append(image)
    by_content = defaultdict(list)
    for size, images in by_size.items():
        for image in images if len(images) > 1 else ():
            with suppress(OSError), (root / image).open("rb") as file:  # refused with a reason of its own
                by_content[size, hashlib.file_digest(file, "sha256").digest()].append(image)
    rejected = []
    for images in by_content.values():
        if len(images) > 1:
            rejected += _settle(images, classes, masks)
    return rejected


def _settle(
    images: list[PurePosixPath],
    classes: Mapping[PurePosixPath, str | None],
    masks: Mapping[PurePosixPath, PurePosixPath | None],
) -> list[Rejected]:
    labels = {classes[image] for image in images} - {None}
    if len(labels) > 1:
        return [_conflict(image, images, classes) for image in images if classes[image] is not None] + [
            Rejected(str(image), "same bytes as images of several classes")
            for image in images
            if classes[image] is None
        ]
    kept = min(images, key=lambda image: (classes[image] is None, masks[image] is None, len(image.parts), str(image)))
    return [Rejected(str(image), f"same bytes as {kept}, which is kept") for image in images if image != kept]


def _conflict(image: PurePosixPath, images: list[PurePosixPath], classes: Mapping) -> Rejected:
    other = next(copy for copy in images if classes[copy] not in (None, classes[image]))
    return Rejected(str(image), f"same bytes as {other}, which lies under {classes[other]!r}; keep the right one")
