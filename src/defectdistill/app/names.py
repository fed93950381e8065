"""Names of collected files and classes: such that `ingest` reads what was meant, on every system."""

import io
import re
import unicodedata
from collections.abc import Iterable

from PIL import Image

from defectdistill.data.sources.folder.names import (
    is_litter,
    is_overlay_folder,
    is_structural,
    is_told_by_another,
    is_unlabelled,
    without_mask_ending,
)

UNLABELLED = "unlabelled"
LONGEST = 80  # letters of a stem or a class
MOST_BYTES = 200  # of it in UTF-8: file systems allow a name 255, and numbers and endings come on top
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"^(?:con|prn|aux|nul|com\d|lpt\d)$", re.I)  # on Windows

# The endings that a file of each kind may have, the usual one first.
_SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm"),
    "JPEG2000": (".jp2",),
}


def file_name(name: str, data: bytes) -> tuple[str, str]:
    """Return stem and ending under which a photograph is kept that a person calls `name`.

    Folders, control characters and what a system forbids are taken out; the ending is one of the kind of file that
    `data` is; a stem that `ingest` could take for a mask's is changed as `not_a_mask` does.
    """
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    stem, dot, given = base.rpartition(".")
    stem, given = (stem, f".{given}") if dot and stem else (base, "")
    with Image.open(io.BytesIO(data)) as image:
        fitting = _SUFFIXES.get(image.format, (".png",))
    if given and given.lower() not in {ending for endings in _SUFFIXES.values() for ending in endings}:
        stem = base  # a point within a name is no ending
    stem = clean(stem) or "photograph"
    if is_litter(stem) or _RESERVED.match(stem):
        stem = f"{stem}_photograph"
    return not_a_mask(stem), given if given.lower() in fitting else fitting[0]


def not_a_mask(stem: str) -> str:
    """Return a stem, changed if `ingest` could take it for that of a mask or an overlay: `x_seg2`, `label_3`, `x_viz`.

    What is no mask today may become one when another photograph, `3`, comes beside it. An ending alone does not help
    `label_3`, nor does a beginning alone.
    """
    candidates = (stem, f"{stem}_photograph", f"photograph_{stem}", f"photograph_{stem}_photograph")
    return next(each for each in candidates if not is_told_by_another(each))


def free(stem: str, taken: Iterable[str]) -> str:
    """Return `stem`, or `stem-2`, `stem-3` …, such that no taken one is the same but for capitals."""
    taken = {name.casefold() for name in taken}
    number, candidate = 1, stem
    while candidate.casefold() in taken:
        number += 1
        candidate = not_a_mask(f"{stem}-{number}")  # `gt-2` may be the mask of `2`
    return candidate


def clean(text: str) -> str:
    """Return a text without what file names must not hold, nor points and spaces around it."""
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp"))
    return shortened(_FORBIDDEN.sub("_", text)).strip(" .")


def shortened(text: str) -> str:
    """Return the beginning of a text, such that a file can be called so."""
    return text[:LONGEST].encode()[:MOST_BYTES].decode(errors="ignore")


def class_folder(label: str, known: Iterable[str]) -> str:
    """Return the folder of a class that a person typed or chose; raises ValueError with the reason it cannot be one.

    A name that differs from a known one by capitals alone is that one.
    """
    wanted = unicodedata.normalize("NFC", label).strip()
    for name in known:
        if unicodedata.normalize("NFC", name).casefold() == wanted.casefold():
            if name in (".", "..") or {*name} & {*"/\\"}:  # of somebody's model: such a name leads elsewhere
                raise ValueError(
                    f"{label!r} cannot be the name of a folder: the model calls a class so; correct it there"
                )
            return name
    if not wanted:
        raise ValueError("say which class it is")
    if shortened(wanted) != wanted:
        raise ValueError(
            f"the name of a class has at most {LONGEST} letters and {MOST_BYTES} bytes; this one has {len(wanted)} "
            f"letters, {len(wanted.encode())} bytes"
        )
    if clean(wanted) != wanted or _RESERVED.match(wanted):
        raise ValueError(f"{label!r} cannot be the name of a class: use letters, digits, spaces, - and _")
    others = (is_structural, is_litter, is_unlabelled, is_overlay_folder, without_mask_ending)
    if any(means(wanted) for means in others):
        raise ValueError(f"{label!r} means something else to the pipeline (masks, images, a split): give another name")
    return wanted
