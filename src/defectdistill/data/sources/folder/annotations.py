"""Finds what says where defects are in a form that is not read: labelme, COCO, Supervisely, VOC, YOLO."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import is_litter, shown

FIRST = 4 * 2**20  # bytes of a file that are looked at: COCO names all images before the first annotation
_SIGNS = {
    ".json": re.compile(r'"(?:shapes|segmentation|annotations|bbox|polygons?|regions|geometryType)"\s*:(?!\s*\[\s*\])'),
    ".xml": re.compile(r"<(?:annotations?|bndbox|polygon)\b"),
    ".txt": re.compile(r"\A\s*\d+(?:[ \t]+\d*\.?\d+){4,}[ \t]*(?:\r?\n|\Z)"),  # YOLO: class, then box or polygon
}


def find_annotations(root: Path, masks: Mapping[PurePosixPath, PurePosixPath | None]) -> Iterator[Rejected]:
    """Yield the files under `root` that hold annotations of images without a mask (None in `masks`): somebody marked
    the defects, and all would go on without.

    JSON and XML are known by what they say, text files by their first line. For text files, and where any image has a
    mask, an image without one has to have their name.
    """
    stems = {stem for image, mask in masks.items() if mask is None for stem in (image.stem, image.name)}
    named = {".txt"} if not any(masks.values()) else {*_SIGNS}
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not is_litter(name))
        for name in sorted(names):
            file = Path(folder, name)
            kind = file.suffix.lower()
            if kind not in _SIGNS or is_litter(name) or (kind in named and file.stem not in stems):
                continue
            if _holds(file, kind):
                said = f"an annotation as {kind[1:].upper()}, which is not read; export masks (docs/your_own_data.md)"
                yield Rejected(shown(file.relative_to(root).as_posix()), said, mask=True)


def _holds(file: Path, kind: str) -> bool:
    try:
        with open(file, "rb") as opened:
            return bool(_SIGNS[kind].search(opened.read(FIRST).decode("utf-8", "replace")))
    except OSError:
        return False
