"""Names of collected files and classes: such that `ingest` reads what was meant, on every system."""

import io
import re
import unicodedata
from collections.abc import Iterable

from PIL import Image

from defectdistill.data.sources.folder.names import is_litter, is_structural, is_unlabelled, without_mask_ending

UNLABELLED = "unlabelled"
LONGEST = 80  # letters of a stem or a class
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
    `data` is; a stem that `ingest` would take for a mask's (`x_mask`) gets another ending.
    """
    base = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    stem, dot, given = base.rpartition(".")
    stem, given = (stem, f".{given}") if dot and stem else (base, "")
    with Image.open(io.BytesIO(data)) as image:
        fitting = _SUFFIXES.get(image.format, (".png",))
    if given and given.lower() not in {ending for endings in _SUFFIXES.values() for ending in endings}:
        stem = base  # a point within a name is no ending
    stem = clean(stem) or "photograph"
    if without_mask_ending(stem) or is_litter(stem) or _RESERVED.match(stem):
        stem = f"{stem}_photograph"
    return stem, given if given.lower() in fitting else fitting[0]


def clean(text: str) -> str:
    """Return a text without what file names must not hold, nor points and spaces around it."""
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp"))
    return _FORBIDDEN.sub("_", text)[:LONGEST].strip(" .")


def class_folder(label: str, known: Iterable[str]) -> str:
    """Return the folder of a class that a person typed or chose; raises ValueError with the reason it cannot be one.

    A name that differs from a known one by capitals alone is that one.
    """
    wanted = unicodedata.normalize("NFC", label).strip()
    for name in known:
        if unicodedata.normalize("NFC", name).casefold() == wanted.casefold():
            return name
    if not wanted:
        raise ValueError("say which class it is")
    if len(wanted) > LONGEST:
        raise ValueError(f"the name of a class has at most {LONGEST} letters, this one {len(wanted)}")
    if clean(wanted) != wanted or _RESERVED.match(wanted):
        raise ValueError(f"{label!r} cannot be the name of a class: use letters, digits, spaces, - and _")
    if is_structural(wanted) or is_litter(wanted) or is_unlabelled(wanted) or without_mask_ending(wanted):
        raise ValueError(f"{label!r} means something else to the pipeline (masks, images, a split): choose another")
    return wanted
