"""Keeps photographs and masks for the next training, in folders that the source `folder` reads: nothing is overwritten.

`CLASS/NAME` with the original bytes, `masks/CLASS/STEM.png` with 0 and 255 at the original's size, `unlabelled/NAME`
where nobody knows the class.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock

from defectdistill.app.names import UNLABELLED, class_folder, file_name, free
from defectdistill.data.sources.folder.names import is_litter
from defectdistill.files import replacing

MASKS = "masks"
REPLACED = ".replaced"  # hidden, so that `ingest` passes it over


@dataclass(frozen=True)
class Kept:
    """Where a photograph lies now, the mask that was saved with it (None: none), where it lay before, what was done.

    Paths are relative to the folder's parent; `before` is None for a photograph that was not there.
    """

    photograph: str
    mask: str | None
    before: str | None
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
        the place of the old one, which goes to a hidden folder. What takes room on the disk is written before anything
        that was kept is touched. Raises ValueError for a class that cannot be one and for an empty mask, OSError where
        the disk refuses: then all is as it was. Where it refuses when the photograph lies in its place already, `words`
        say so.
        """
        if mask is not None and not mask.any():
            raise ValueError("nothing is marked: draw over the defect first (a photograph without one needs no mask)")
        folder = UNLABELLED if label is None else class_folder(label, self.known())
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            found = self._find(data)
            path = self._place(found, folder, *file_name(name, data))
            with self._written_beside(self._mask_of(path), mask) as drawn:
                self._copy_aside(found, path, drawn)
                words = self._settle(found, path, data)
                try:
                    self._settle_masks(found, path, drawn)
                except OSError as error:
                    said = f"{self._shown(self._mask_of(path))} cannot be written ({error.strerror})"
                    words += f"{self._shown(path)}. Its mask was not saved: {said}."
                    return Kept(self._shown(path), None, found and self._shown(found), words)
        marked = None if mask is None else self._shown(self._mask_of(path))
        words += self._shown(path) + (f", its mask as {marked}." if marked else ".")
        return Kept(self._shown(path), marked, found and self._shown(found), words)

    def _place(self, found: Path | None, folder: str, stem: str, ending: str) -> Path:
        """Return where a photograph of this class, found or new, is to lie."""
        if found is None:
            return self.folder / folder / f"{self._free(folder, stem)}{ending}"
        if found.parent.name == folder:
            return found
        return self.folder / folder / f"{self._free(folder, found.stem)}{found.suffix}"

    def _settle(self, found: Path | None, path: Path, data: bytes) -> str:
        """Put a photograph in its place; return the words for what was done."""
        if found == path:
            return "Already kept: "
        path.parent.mkdir(exist_ok=True)
        if found is None:
            with replacing(path) as beside:
                beside.write_bytes(data)
            return "Kept: "
        found.rename(path)
        return f"Moved from {found.parent.name}: "

    @contextmanager
    def _written_beside(self, place: Path, mask: np.ndarray | None) -> Iterator[Path | None]:
        """Yield a hidden file beside the place of a mask that holds it whole; None where there is nothing to write."""
        encoded = None if mask is None else cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
        if encoded is None or (place.is_file() and place.read_bytes() == encoded):
            yield None
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        hidden = place.with_name(f".{place.name}")
        try:
            with replacing(hidden) as beside:
                beside.write_bytes(encoded)
            yield hidden
        finally:
            hidden.unlink(missing_ok=True)

    def _copy_aside(self, found: Path | None, path: Path, drawn: Path | None) -> None:
        """Copy the mask that a photograph has to the hidden folder, if it is to have a new one or none."""
        unsure = found != path and path.parent.name == UNLABELLED  # a mask shows a class, of which nobody is sure
        if found is None or not self._mask_of(found).is_file() or not (drawn or unsure):
            return
        mask, aside = self._mask_of(found), self.folder / REPLACED / found.parent.name
        aside.mkdir(parents=True, exist_ok=True)
        with replacing(aside / f"{free(mask.stem, (path.stem for path in aside.iterdir()))}.png") as beside:
            beside.write_bytes(mask.read_bytes())

    def _settle_masks(self, found: Path | None, path: Path, drawn: Path | None) -> None:
        """Give a photograph that lies in its place the mask that was drawn, or bring along the one that it had."""
        old, new = found and self._mask_of(found), self._mask_of(path)
        if drawn:
            drawn.replace(new)
        if old is None or old == new or not old.is_file():
            return
        if drawn or path.parent.name == UNLABELLED:
            old.unlink()
        else:
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)

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
