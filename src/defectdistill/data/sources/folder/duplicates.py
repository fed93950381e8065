"""Finds files with the same bytes: one of them stays if they agree on the class, none if they do not."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected


def same_bytes(root: Path, images: Iterable[PurePosixPath]) -> list[list[PurePosixPath]]:
    """Return the sets of images whose files hold the same bytes; empty files and those that cannot be read are in none.

    Both are refused later, with a reason of their own.
    """
    by_size = defaultdict(list)
    for image in images:
        size = (root / image).stat().st_size
        if size:
            by_size[size].append(image)
    by_content = defaultdict(list)
    for size, alike in by_size.items():
        for image in alike if len(alike) > 1 else ():
            with suppress(OSError), (root / image).open("rb") as file:
                by_content[size, hashlib.file_digest(file, "sha256").digest()].append(image)
    return [copies for copies in by_content.values() if len(copies) > 1]


def settle(
    copies: Sequence[PurePosixPath],
    classes: Mapping[PurePosixPath, str | None],
    masks: Mapping[PurePosixPath, PurePosixPath | None],
) -> list[Rejected]:
    """Return which of some images with the same bytes are left out, with the reason.

    Copies under one class: one with a mask stays, else the one nearest to the top (a nested stray copy is the deeper
    one), else the first by name; kept twice, a photograph would only weigh double. A labelled image wins over its copy
    without a label. Copies under two classes are all left out: which label is right, a person must say.
    """
    labels = {classes[image] for image in copies} - {None}
    if len(labels) > 1:
        return [_conflict(image, copies, classes) for image in copies if classes[image] is not None] + [
            Rejected(str(image), "same bytes as images of several classes")
            for image in copies
            if classes[image] is None
        ]
    kept = min(copies, key=lambda image: (classes[image] is None, masks[image] is None, len(image.parts), str(image)))
    return [Rejected(str(image), f"same bytes as {kept}, which is kept") for image in copies if image != kept]


def _conflict(image: PurePosixPath, copies: Sequence[PurePosixPath], classes: Mapping) -> Rejected:
    other = next(copy for copy in copies if classes[copy] not in (None, classes[image]))
    return Rejected(str(image), f"same bytes as {other}, which lies under {classes[other]!r}; keep the right one")
