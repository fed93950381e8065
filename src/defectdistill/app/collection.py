"""Keeps photographs and masks for the next training, in folders that the source `folder` reads: nothing is overwritten.

`CLASS/NAME` with the original bytes, `masks/CLASS/STEM.png` with 0 and 255 at the original's size, `unlabelled/NAME`
where nobody knows the class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock

from defectdistill.app.names import UNLABELLED, class_folder, file_name
from defectdistill.data.sources.folder.names import is_litter
from defectdistill.files import replacing

MASKS = "masks"
REPLACED = ".replaced"  # hidden, so that `ingest` passes it over


@dataclass(frozen=True)
class Kept:
    """Where a photograph lies now, relative to the folder's parent, its mask if there is one, and what was done."""

    photograph: str
    mask: str | None
    words: str


class Collection:
    """A folder of photographs by class that grows. `classes` are those that the models know."""

    def __init__(self, folder: Path, classes: Sequence[str]):
        self.folder, self.classes = folder, list(classes)

    def known(self) -> list[str]:
        """Return the models' classes, then those that were added here, by name."""
        added = {path.name for path in self._class_folders()} - {*self.classes, UNLABELLED}
        return [*self.classes, *sorted(added)]

    def keep(self, data: bytes, name: str, label: str | None, mask: np.ndarray | None = None) -> Kept:
        """Keep the bytes of a photograph under a class (None: unlabelled), with a mask, bool (H, W), if given.

        The same photograph again is not kept twice: it moves to the class that was said last, and a new mask takes
        the place of the old one, which goes to a hidden folder. Raises ValueError for a class that cannot be one and
        for an empty mask, OSError where the disk refuses.
        """
        if mask is not None and not mask.any():
            raise ValueError("nothing is marked: draw over the defect first (a photograph without one needs no mask)")
        folder = UNLABELLED if label is None else class_folder(label, self.known())
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            found = self._find(data)
            if found is None:
                path, words = self._add(data, name, folder), "Kept"
            elif found.parent.name == folder:
                path, words = found, "Already kept"
            else:
                path, words = self._move(found, folder), f"Moved from {found.parent.name}"
            drawn = None if mask is None else self._save_mask(path, mask)
        marked = "" if drawn is None else f", its mask as {self._shown(drawn)}"
        return Kept(self._shown(path), drawn and self._shown(drawn), f"{words}: {self._shown(path)}{marked}.")

    def _add(self, data: bytes, name: str, folder: str) -> Path:
        stem, ending = file_name(name, data)
        path = self.folder / folder / f"{self._free(folder, stem)}{ending}"
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as beside:
            beside.write_bytes(data)
        return path

    def _move(self, path: Path, folder: str) -> Path:
        target = self.folder / folder / f"{self._free(folder, path.stem)}{path.suffix}"
        target.parent.mkdir(exist_ok=True)
        mask = self._mask_of(path)
        path.rename(target)
        if mask.is_file():
            if folder == UNLABELLED:  # a mask shows a class, of which nobody is sure any more
                self._put_aside(mask)
            else:
                self._mask_of(target).parent.mkdir(parents=True, exist_ok=True)
                mask.rename(self._mask_of(target))
        return target

    def _save_mask(self, photograph: Path, mask: np.ndarray) -> Path:
        path = self._mask_of(photograph)
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
        if path.is_file():
            if path.read_bytes() == encoded:
                return path
            self._put_aside(path)
        with replacing(path) as beside:
            beside.write_bytes(encoded)
        return path

    def _put_aside(self, mask: Path) -> None:
        aside = self.folder / REPLACED / mask.parent.name
        aside.mkdir(parents=True, exist_ok=True)
        mask.rename(aside / f"{free(mask.stem, (path.stem for path in aside.iterdir()))}.png")

    def _free(self, folder: str, stem: str) -> str:
        """Return a stem that neither a photograph nor a mask of this class has: `a.jpg` and `a.png` would be a pair."""
        places = (self.folder / folder, self.folder / MASKS / folder)
        return free(stem, (path.stem for place in places if place.is_dir() for path in place.iterdir()))

    def _find(self, data: bytes) -> Path | None:
        """Return the photograph with these very bytes, if it was kept before."""
        for folder in self._class_folders():
            for path in sorted(folder.iterdir()):
                if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
                    return path
        return None

    def _class_folders(self) -> Iterator[Path]:
        if self.folder.is_dir():
            yield from sorted(
                path
                for path in self.folder.iterdir()
                if path.is_dir() and not path.is_symlink() and path.name != MASKS and not is_litter(path.name)
            )

    def _mask_of(self, photograph: Path) -> Path:
        return self.folder / MASKS / photograph.parent.name / f"{photograph.stem}.png"

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.folder.parent).as_posix()


def free(stem: str, taken: Iterator[str]) -> str:
    """Return `stem`, or `stem-2`, `stem-3` …, such that no taken one is the same but for capitals."""
    taken = {name.casefold() for name in taken}
    number, candidate = 1, stem
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{stem}-{number}"
    return candidate
