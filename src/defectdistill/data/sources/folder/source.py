"""Any folder of photographs as it lies: class folders at any depth, masks beside them or in a tree of their own.

What names mean stands in `names.py`; which file is whose mask in `pairing.py`; which folder is the class in
`classes.py`. Of a data set that comes split (`train/`, `test/`) each image says on which side it was.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from defectdistill.data.errors import DataError
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.sources.folder.annotations import find_annotations
from defectdistill.data.sources.folder.classes import find_classes
from defectdistill.data.sources.folder.duplicates import same_bytes, settle
from defectdistill.data.sources.folder.groups import join_groups, read_groups
from defectdistill.data.sources.folder.names import is_structural, photograph_of, split_of
from defectdistill.data.sources.folder.pairing import pair_masks
from defectdistill.data.sources.folder.walk import find_images, leads_out

DRAWN = False  # photographs


def samples(
    path: Path, groups: str | None = None, group_column: str | None = None, class_level: int | None = None
) -> Iterator[Sample | Rejected]:
    """Yield the images of a folder with class, mask and group, and what is left out with the reason, sorted by name.

    `groups` is a CSV file, its path relative to the folder, see `groups.read_groups`; `group_column` its column;
    `class_level` as in `classes.find_classes`. Nothing is decoded here. Raises `DataError` where the folder is missing,
    the classes are ambiguous or the CSV file cannot be used.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"ingest.path: there is no folder {str(path)!r}; give the folder that holds the class folders")
    files, refused = find_images(root)
    masks, rejected = pair_masks(files)
    rejected += find_annotations(root, masks)
    classes = find_classes(list(masks), class_level)
    named = [{image: name for image in masks if (name := photograph_of(image.stem))}]
    if groups is not None:
        if leads_out(root / groups, root):
            raise DataError(f"ingest.folder.groups: {groups!r} leads out of {root}; put the CSV file into that folder")
        told, unknown = read_groups(root / groups, group_column, masks)
        named.append(told)
        rejected += unknown
    copies = same_bytes(root, classes)
    rejected += [item for equal in copies for item in settle(equal, classes, masks)]
    group_of = join_groups(named, copies)
    rejected += [Rejected(str(image), _why_outside(image)) for image in masks if image not in classes]
    left_out = {item.name for item in rejected}
    found = [
        Sample(name, label, root / image, mask and root / mask, group_of.get(image), split_of(image))
        for image, label in classes.items()
        if (name := str(image)) not in left_out
        for mask in (masks[image],)
    ]
    yield from sorted([*found, *rejected, *refused], key=lambda item: item.name)


def _why_outside(image: PurePosixPath) -> str:
    reason = "lies in no class folder; put it into the folder of its class, or into 'unlabelled'"
    if is_structural(image.parent.name):
        reason += f" (if {image.parent.name!r} is a class: such names stand for splits and images here, rename it)"
    return reason
