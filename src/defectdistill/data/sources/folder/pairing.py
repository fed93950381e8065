"""Tells masks from photographs by their names, and finds the photograph that each mask belongs to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import (
    MASK_RANK,
    composed,
    is_image_folder,
    is_mask_folder,
    is_of_other_masks,
    is_overlay_folder,
    split_in,
    stems_if_mask,
    without_image_suffix,
    without_image_word,
    without_mask_ending,
    without_overlay_ending,
)

Masks = dict[PurePosixPath, list[PurePosixPath]]


def pair_masks(files: Sequence[PurePosixPath]) -> tuple[dict[PurePosixPath, PurePosixPath | None], list[Rejected]]:
    """Return image → mask (None where there is none), and what is left out: masks without an image, ambiguous ones.

    A file is a mask if it lies in a mask folder (`masks/CLASS/x.png`, `CLASS/gt/x.png`, `CLASS_mask/x.png` where
    `CLASS` exists too), if its stem is that of an image beside it and an ending (`x_mask.png`; also `x_mask2.png` and
    `mask_x.png`; the image may be called `x_img.jpg`), or if it shares the stem with a file beside it whose kind is the
    more photographic one (`x.jpg`, then `x.png`). A file that is named like a mask and has no image is left out, never
    taken for a photograph. Of `SegmentationClass` and `SegmentationObject`, `masks_machine` and `masks_human`, which
    show the same, the first counts. Photographs with something drawn over (`x_overlay.jpg` beside `x.jpg`, folders such
    as `SegmentationClassVisualization`) are left out.
    """
    files, overlays = _without_overlays(files)
    folders = {folder for file in files for folder in file.parents}
    in_mask_folder = [file for file in files if _is_in_mask_folder(file, folders)]
    masks, rejected = _pair_beside(sorted(set(files) - set(in_mask_folder), key=str))
    rejected += [*_pair_parallel(in_mask_folder, masks, folders), *overlays]
    pairs = {}
    for image, found in masks.items():
        first = [file for file in found if not any(is_of_other_masks(folder.name) for folder in file.parents)]
        candidates = first or found
        if len(candidates) > 1:
            reason = f"has several masks ({_named(candidates)}); keep one"
            rejected.append(Rejected(str(image), reason, mask=True))
        else:
            pairs[image] = candidates[0] if candidates else None
    return pairs, rejected


def _without_overlays(files: Sequence[PurePosixPath]) -> tuple[list[PurePosixPath], list[Rejected]]:
    """Return the other files, and those that show a photograph with something drawn over, by their names."""
    places, kept, rejected = {_place_of(file) for file in files}, [], []
    for file in files:
        stem = without_overlay_ending(file.stem)
        over = stem is not None and _place_of(file.with_name(stem + file.suffix)) in places
        if over or any(is_overlay_folder(folder.name) for folder in file.parents):
            rejected.append(
                Rejected(str(file), "named like a photograph with something drawn over it; rename it if not")
            )
        else:
            kept.append(file)
    return kept, rejected


def _place_of(file: PurePosixPath) -> PurePosixPath:
    """Return a file's path without its suffix, in one spelling of accents: what goes together beside each other."""
    return PurePosixPath(composed(str(file.with_suffix(""))))


def _pair_beside(files: Sequence[PurePosixPath]) -> tuple[Masks, list[Rejected]]:
    """Return image → masks in the same folder, and the files named like masks that have no image there."""
    called_so = {_place_of(file) for file in files}
    called_so |= {place.parent / without_image_word(place.name) for place in called_so}
    same_stem, endings = defaultdict(list), []
    for file in files:
        stem = stem_of_mask(file, called_so)
        if stem is None:
            same_stem[_place_of(file)].append(file)
        else:
            endings.append((file, stem))
    masks: Masks = {}
    for group in same_stem.values():
        ranks = [MASK_RANK[file.suffix.lower()] for file in group]
        others = [file for file, rank in zip(group, ranks, strict=True) if rank > min(ranks)]
        masks |= {file: list(others) for file in group if file not in others}
    called_image: Masks = defaultdict(list)
    for image in masks:
        place = _place_of(image)
        called_image[place.parent / without_image_word(place.name)].append(image)
    rejected = []
    for file, stem in endings:
        place = _place_of(file).parent / stem
        images = [image for image in same_stem.get(place, ()) if image in masks] or called_image.get(place, [])
        for image in images:
            masks[image].append(file)
        if not images:
            reason = f"named like a mask, but there is no image {stem!r} beside it"
            rejected.append(Rejected(str(file), reason, mask=True))
    return masks, rejected


def stem_of_mask(file: PurePosixPath, places: set[PurePosixPath]) -> str | None:
    """Return the stem of the image that a file is named as the mask of; None for an image."""
    place, name = _place_of(file).parent, composed(file.stem)
    if ended := without_mask_ending(name):
        return ended if place / ended in places else without_image_suffix(ended)
    plain = without_image_suffix(name)
    named = [*stems_if_mask(name), *([plain] if plain != name else [])]
    return next((stem for stem in named if place / stem in places), None)


def _pair_parallel(files: Sequence[PurePosixPath], masks: Masks, folders: set[PurePosixPath]) -> list[Rejected]:
    """Add the files of mask folders to the images that they belong to; return those that belong to none or several."""
    by_stem: Masks = defaultdict(list)
    for image in masks:
        by_stem[composed(image.stem)].append(image)
    exact = set(by_stem)
    for image in masks:
        if (stem := composed(without_image_word(image.stem))) not in exact:
            by_stem[stem].append(image)
    rejected = []
    for file in files:
        owners = _owners(file, by_stem, folders)
        if len(owners) == 1:
            masks[owners[0]].append(file)
        elif owners:
            reason = f"a mask for {_named(owners)} alike; give the masks the folders of the images"
            rejected.append(Rejected(str(file), reason, mask=True))
        else:
            reason = "lies in a folder for masks, but no image goes with it; rename one, or the folder if it is a class"
            rejected.append(Rejected(str(file), reason, mask=True))
    return rejected


def _owners(
    mask: PurePosixPath, by_stem: Mapping[str, list[PurePosixPath]], folders: set[PurePosixPath]
) -> list[PurePosixPath]:
    stem = composed(mask.stem)
    named = [stem, without_mask_ending(stem) or "", *stems_if_mask(stem)]
    named += [without_image_suffix(name) for name in named]
    candidates = next((by_stem[name] for name in named if name in by_stem), [])
    place = _place(mask, folders)
    places = {image: _place(image, folders) for image in candidates}
    same = [image for image in candidates if places[image] == place]
    # `masks/x.png` goes with `images/CLASS/x.png`, `ground_truth/CLASS/x.png` with `test/CLASS/x.png`.
    return same or [
        image for image in candidates if _is_within(place, places[image]) or _is_within(places[image], place)
    ]


def _place(file: PurePosixPath, folders: set[PurePosixPath]) -> list[str]:
    """Return the folders of a file without those that say only `images` or `masks`, and without mask endings."""
    names = []
    for folder in [*file.parents][-2::-1]:
        twin = _twin(folder, folders)
        if twin is None and (is_image_folder(folder.name) or is_mask_folder(folder.name)):
            names.append(split_in(folder.name))
        else:
            names.append(twin or folder.name)
    return [composed(name) for name in names if name]


def _is_in_mask_folder(file: PurePosixPath, folders: set[PurePosixPath]) -> bool:
    return any(is_mask_folder(folder.name) or _twin(folder, folders) for folder in file.parents)


def _twin(folder: PurePosixPath, folders: set[PurePosixPath]) -> str | None:
    # A class may be called `torn_label`: the ending counts only where the folder without it exists, or lies around it.
    stem = without_mask_ending(folder.name)
    return stem if stem and (folder.with_name(stem) in folders or folder.parent.name == stem) else None


def _is_within(short: list[str], long: list[str]) -> bool:
    rest = iter(long)
    return all(name in rest for name in short)


def _named(files: Sequence[PurePosixPath]) -> str:
    return ", ".join(str(file) for file in files[:3]) + (" …" if len(files) > 3 else "")
