"""Lists what lies in a folder, in one order on every machine, without leaving it through a link."""

import os
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import ARCHIVES, MASK_RANK, is_litter, shown, why_bad_name


def find_images(root: Path) -> tuple[list[PurePosixPath], list[Rejected]]:
    """Return all files under `root` that are named like images, relative to it and sorted by path, and the refused.

    Hidden files, file managers' litter and other kinds of file are passed over silently. Refused are links that lead
    out of the folder or nowhere, links to folders (they could lead in a circle), names that are not UTF-8 or hold
    control characters, what is no file (a pipe would be waited for), and archives, which are never unpacked. `root`
    itself may be a link.
    """
    files, rejected = [], []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not is_litter(name))
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in sorted(names) + links:
            path = Path(folder, name)
            kinds = (*MASK_RANK, *ARCHIVES)
            if is_litter(name) or (path.suffix.lower() not in kinds and name not in links):
                continue
            relative = path.relative_to(root).as_posix()
            reason = why_bad_name(relative) or why_refused(path, root)
            if reason is None:
                files.append(PurePosixPath(relative))
            else:
                rejected.append(Rejected(shown(relative), reason))
    return sorted(files, key=str), rejected


def leads_out(path: Path, root: Path) -> bool:
    """Tell whether a path, links followed, lies outside of `root`."""
    return not path.resolve().is_relative_to(root.resolve())


def why_refused(path: Path, root: Path) -> str | None:
    """Return why a file that is named like an image, or a link, is not read; None if it is. Nothing is opened."""
    if path.is_symlink():
        if not path.exists():
            return "a link that leads nowhere; put the file itself there"
        if leads_out(path, root):
            return "a link that leads out of the folder; put the file itself there, or give the folder that it leads to"
        if path.is_dir():
            return "a link to another folder is not followed; put the folder itself there"
    if not path.is_file():
        return "no file but a pipe, socket or device; take it out"
    if path.suffix.lower() in ARCHIVES:
        return "an archive, which is not unpacked; unpack it and put the folders of images in its place"
    return None
