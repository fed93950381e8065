"""Finds photographs in folders at any depth, one after the other, in one order on every machine.

What counts as an image, and what is refused, is the same as for the folder source of `ingest`; unlike there nothing is
collected: of a folder only the names in it are held.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import (
    ARCHIVES,
    MASK_RANK,
    UNREADABLE,
    composed,
    is_litter,
    shown,
    why_bad_name,
    without_image_word,
)
from defectdistill.data.sources.folder.pairing import stem_of_mask
from defectdistill.data.sources.folder.walk import why_refused

MOST_KINDS = 30  # of files that are passed over, counted by name
LONGEST_KIND = 12  # letters of an ending that is counted by name
OTHER_KINDS, MASKS = "other kinds", "masks"


@dataclass(frozen=True)
class Found:
    """A file to be predicted: its `name` in the tables, the path as the user would write it, and the `path`."""

    name: str
    path: Path


def check_paths(paths: Sequence[Path]) -> None:
    """Raise ValueError naming the paths that lead nowhere, or that there is none."""
    if not paths:
        raise ValueError("no photograph was named: give folders or files")
    missing = [shown(str(path)) for path in paths if not os.path.exists(path)]
    if missing:
        listed = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise ValueError(f"{listed}: there is no such file or folder; check the path")


def find(
    paths: Sequence[Path], leave_out: Collection[Path] = (), passed_over: Counter | None = None
) -> Iterator[Found | Rejected]:
    """Yield the images among `paths` and in the folders among them, and what is refused with the reason.

    Paths are taken in their order; in a folder files come before subfolders, each sorted by name. Whatever is reached
    twice is yielded once, at the place of the path that names it; a link to a file is another name, not that file. A
    file that is given is tried whatever its name; in folders, only names like those of images are. Hidden files are
    passed over, and the folders `leave_out`; other files too, and are counted in `passed_over` {ending: number}, those
    with an ending that is no kind of file together, and as `masks` those that are named as masks of a photograph beside
    them (`x_mask.png`, `x.png` beside `x.jpg`). Links in a folder that lead out of it, to folders or nowhere are
    refused; a path that is given may be a link.
    """
    places = [_place(path) for path in paths]
    elsewhere = {*places, *(os.path.realpath(folder) for folder in leave_out)}
    seen = set()
    for path, place in zip(paths, places, strict=True):
        if place in seen:
            continue
        seen.add(place)
        if os.path.isdir(path):
            yield from _in_folder(Path(path), place, Path(path), elsewhere, passed_over)
        else:
            yield _checked(Path(path), Path(path).resolve(), Path(path).resolve().parent)


def _place(path: Path) -> str:
    """Return what a path names: a folder itself, whatever link leads there, but a link to a file as it is named."""
    if os.path.isdir(path):
        return os.path.realpath(path)
    return os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))


def _in_folder(
    folder: Path, place: str, root: Path, elsewhere: set[str], passed_over: Counter | None
) -> Iterator[Found | Rejected]:
    waiting = [(folder, place)]
    while waiting:
        folder, place = waiting.pop()
        try:
            files, subfolders = _listed(folder)
        except OSError as error:
            yield Rejected(
                shown(f"{folder.as_posix()}/"), f"the folder cannot be opened ({error.strerror}); check its rights"
            )
            continue
        yield from _of_one_folder(folder, place, root, files, elsewhere, passed_over)
        inner = [(folder / name, os.path.join(place, name)) for name in subfolders if not is_litter(name)]
        waiting += [(path, place) for path, place in reversed(inner) if place not in elsewhere]


def _of_one_folder(
    folder: Path,
    place: str,
    root: Path,
    files: Sequence[tuple[str, bool]],
    elsewhere: set[str],
    passed_over: Counter | None,
) -> Iterator[Found | Rejected]:
    masks = _masks_among([name for name, _ in files])
    for name, is_link_to_folder in files:
        kind = os.path.splitext(name)[1].lower()
        if is_litter(name) or os.path.join(place, name) in elsewhere:
            continue
        if name in masks:
            if passed_over is not None:
                passed_over[MASKS] += 1
        elif is_link_to_folder or kind in MASK_RANK or kind in ARCHIVES:
            yield _checked(folder / name, folder / name, root)
        elif passed_over is not None:
            named = _is_kind(kind) and (kind in passed_over or len(passed_over) < MOST_KINDS)
            passed_over[kind if named else OTHER_KINDS] += 1


def _masks_among(names: Sequence[str]) -> set[str]:
    """Return the files of a folder that are named as the mask of another image there, as for `ingest`: by a word, or
    by sharing the stem of a file whose kind is the more photographic one, and can be read: a PNG beside a HEIC is the
    photograph, exported.
    """
    images = [name for name in names if os.path.splitext(name)[1].lower() in MASK_RANK]
    places = {PurePosixPath(composed(os.path.splitext(name)[0])) for name in images}
    places |= {PurePosixPath(without_image_word(place.name)) for place in places}
    lowest: dict[str, int] = {}  # stem: rank of its most photographic file
    for name in images:
        stem, kind = os.path.splitext(name)
        if kind.lower() not in UNREADABLE:
            rank = MASK_RANK[kind.lower()]
            lowest[composed(stem)] = min(rank, lowest.get(composed(stem), rank))

    def is_mask(name: str) -> bool:
        stem, kind = os.path.splitext(name)
        if MASK_RANK[kind.lower()] > lowest.get(composed(stem), MASK_RANK[kind.lower()]):
            return True
        return PurePosixPath(stem_of_mask(PurePosixPath(name), places) or "") in places

    return {name for name in images if is_mask(name)}


def _is_kind(ending: str) -> bool:
    """Whether an ending is a kind of file (or none): in `Nr. 5 Prüfung` it is a part of the name, of any letters."""
    return not ending or (ending.isascii() and ending[1:].isalnum() and len(ending) - 1 <= LONGEST_KIND)


def _listed(folder: Path) -> tuple[list[tuple[str, bool]], list[str]]:
    """Return the files of a folder as (name, whether it is a link to a folder), and its subfolders, sorted."""
    files, subfolders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                subfolders.append(entry.name)
            else:
                files.append((entry.name, entry.is_symlink() and entry.is_dir()))
    return sorted(files), sorted(subfolders)


def _checked(path: Path, target: Path, root: Path) -> Found | Rejected:
    name = path.as_posix()
    reason = why_bad_name(name) or why_refused(target, root)
    return Found(name, path) if reason is None else Rejected(shown(name), reason)
