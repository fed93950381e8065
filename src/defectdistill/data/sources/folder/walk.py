"""Lists what lies in a folder, in one order on every machine, without leaving it through a link."""

import os
from pathlib import Path, PurePosixPath

from defectdistill.data.sample import Rejected
from defectdistill.data.sources.folder.names import ARCHIVES, CAMERA_RAW, MASK_RANK, is_litter, shown, why_bad_name


def find_images(root: Path) -> tuple[list[PurePosixPath], list[Rejected]]:
    """Return all files under `root` that are named like images, relative to it and sorted by path, and the refused.

    Hidden files, file managers' litter and other kinds of file are passed over silently. Refused are links that lead
    out of the folder or nowhere, links to folders (they could lead in a circle), names that are not UTF-8 or hold
    control characters, what is no file (a pipe would be waited for), archives, which are never unpacked, and whole
    folders that cannot be opened or hold no image: a class would vanish. `root` itself may be a link.
    """
    files, rejected = [], []

    def closed(error: OSError) -> None:
        name = shown(Path(os.fsdecode(error.filename)).relative_to(root).as_posix())
        rejected.append(Rejected(name, f"a folder that cannot be opened ({error.strerror}); check its permissions"))

    for folder, subfolders, names in os.walk(root, onerror=closed):
        subfolders[:] = sorted(name for name in subfolders if not is_litter(name))
        links = [name for name in subfolders if Path(folder, name).is_symlink()]
        if not subfolders and Path(folder) != root and (reason := _why_nothing(names)):
            rejected.append(Rejected(shown(Path(folder).relative_to(root).as_posix()), reason))
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


def _why_nothing(names: list[str]) -> str | None:
    """Return why nothing of a folder with these files is used, None if there is something named like an image."""
    kinds = [Path(name).suffix.lower() for name in names if not is_litter(name)]
    if not kinds:
        return "an empty folder; if it is a class, put its photographs there"
    if any(kind in (*MASK_RANK, *ARCHIVES) for kind in kinds):
        return None
    listed = ", ".join(shown(kind) or "no ending" for kind in sorted(set(kinds))[:5])
    return f"a folder without an image ({len(kinds)} files, endings: {listed}); nothing of it is used"


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
    if path.suffix.lower() in CAMERA_RAW:
        return "a camera's raw file, which only its maker's programs develop; export it as JPEG or PNG"
    return None
