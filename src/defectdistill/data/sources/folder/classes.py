"""Reads the class of each image from the folders above it, and asks instead of guessing where it could be two."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from defectdistill.data.errors import DataError
from defectdistill.data.sources.folder.names import composed, is_structural, is_unlabelled

Names = tuple[str, ...]
FAIR = 0.2  # of all images: so many that lie higher than the others lie in their class folder, fewer went astray


def find_classes(images: Sequence[PurePosixPath], class_level: int | None) -> dict[PurePosixPath, str | None]:
    """Return image → class, None below a folder such as `unlabelled`; images in no class folder are missing.

    Folders that cannot tell classes apart are passed over: structural ones (`Imgs`, `photos`, `train`), stray levels (a
    folder that holds one of its own name; one without images of its own that holds most of its neighbours' names, and
    most of their files: a nested copy), and levels at the top or the bottom that have the same name for all images. If
    one level is left, or every first folder holds images itself, and more than a few, the first folder is the class.
    Otherwise `class_level` must say which: 1 is the first of the levels left, −1 the folder nearest to the image.
    Raises `DataError` where it is needed and missing, or 0, and where classes differ in capital letters alone.
    """
    if class_level == 0:
        raise DataError("ingest.folder.class_level is 0: levels count from 1 (top), or from -1 (nearest to the image)")
    labelled = {}
    for image in images:
        if not any(is_unlabelled(name) for name in image.parent.parts):
            labelled[image] = tuple(name for name in image.parent.parts if not is_structural(name))
    levels = _without_common(_without_stray(labelled))
    if class_level is None:
        _check_levels(levels)
    index = 0 if class_level is None else class_level - (class_level > 0)
    classes: dict[PurePosixPath, str | None] = {image: None for image in images if image not in labelled}
    for image, names in levels.items():
        if -len(names) <= index < len(names):
            classes[image] = composed(names[index].strip())
    _check_case({name for name in classes.values() if name is not None})
    return classes


def _without_stray(places: dict[PurePosixPath, Names]) -> dict[PurePosixPath, Names]:
    folders = {names[:depth] for names in places.values() for depth in range(len(names) + 1)}
    children: dict[Names, set[str]] = {folder: set() for folder in folders}
    for folder in folders:
        if folder:
            children[folder[:-1]].add(folder[-1])
    filled = set(places.values())
    files: dict[Names, set[str]] = {folder: set() for folder in folders}
    for image, names in places.items():
        files[names].add(image.name)
    stray = set()
    for folder in folders - filled - {()}:
        # `set/MT_Break` beside `MT_Break`: `set` is a nested copy of the whole, not a class.
        copied = children[folder] & (children[folder[:-1]] - {folder[-1]})
        if not copied or 2 * len(copied) < len(children[folder]):
            continue
        twice = sum(len(files[(*folder, name)] & files[(*folder[:-1], name)]) for name in copied)
        if 2 * twice >= sum(len(files[(*folder, name)]) for name in copied):
            stray.add(folder)
    return {
        image: tuple(
            name
            for depth, name in enumerate(names, 1)
            if names[:depth] not in stray and names[depth - 2 : depth - 1] != (name,)
        )
        for image, names in places.items()
    }


def _without_common(places: dict[PurePosixPath, Names]) -> dict[PurePosixPath, Names]:
    for end, rest in ((0, slice(1, None)), (-1, slice(None, -1))):
        while _is_common([names for names in places.values() if names], end):
            places = {image: names[rest] for image, names in places.items()}
    return places


def _is_common(places: list[Names], end: int) -> bool:
    # Never the last level that is left: a single class must be named as such, not vanish.
    return all(len(names) > 1 for names in places) and len({names[end] for names in places}) == 1


def _check_case(classes: set[str]) -> None:
    spellings: dict[str, str] = {}
    for name in sorted(classes):
        other = spellings.setdefault(name.casefold(), name)
        if other != name:
            raise DataError(
                f"the class folders {other!r} and {name!r} differ in capital letters alone; give one class one name"
            )


def _check_levels(levels: Mapping[PurePosixPath, Names]) -> None:
    places = set(levels.values()) - {()}
    higher = [image for image, names in levels.items() if len(names) == 1]
    few = len(higher) < FAIR * len(levels)
    if all(len(names) == 1 for names in places) or (all(names[:1] in places for names in places) and not few):
        return
    listed = []
    for level in range(max(len(names) for names in places)):
        found = sorted({names[level] for names in places if len(names) > level})
        listed.append(f"level {level + 1}: {', '.join(found[:6])}{' …' if len(found) > 6 else ''}")
    astray = (
        f". Higher than the others lie {len(higher)} of {len(levels)} images, {higher[0]} first"
        if few and higher
        else ""
    )
    raise DataError(
        f"folders at {len(listed)} levels could be the classes ({'; '.join(listed)}); say which with "
        f"ingest.folder.class_level: 1 is the first of these, -1 the folder nearest to each image{astray}"
    )
