"""Lists what lies in a folder, in one order on every machine, without leaving it through a link."""

import os
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import MASK_RANK, is_litter


def find_images(root: Path) -> tuple[list[PurePosixPath], list[Rejected]]:
    """Return all files under `root` that are named like images, relative to it and sorted by path, and the refused.

    Hidden files, file managers' litter and other kinds of file are passed over silently. Refused are links that lead
    out of the folder or nowhere, links to folders (they could lead in a circle) and names that are not UTF-8.
    """
    files, rejected = [], []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not is_litter(name))
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        for name in sorted(names) + links:
            path = Path(folder, name)
            if is_litter(name) or (path.suffix.lower() not in MASK_RANK and name not in links):
                continue
            relative = PurePosixPath(path.relative_to(root).as_posix())
            reason = _why_refused(path, root)
            if reason is None:
                files.append(relative)
            else:
                rejected.append(Rejected(str(relative).encode("utf-8", "backslashreplace").decode("utf-8"), reason))
    return sorted(files, key=str), rejected


def _why_refused(path: Path, root: Path) -> str | None:
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not valid UTF-8; rename it"
    if not path.is_symlink():
        return None
    if not path.exists():
        return "a link that leads nowhere; put the file itself there"
    if not path.resolve().is_relative_to(root.resolve()):
        return "a link that leads out of the folder; put the file itself there"
    return "a link to another folder is not followed; put the folder itself there" if path.is_dir() else None
