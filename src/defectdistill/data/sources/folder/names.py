"""What the names of files and folders say: which are images, which hold masks, which say nothing about the class."""

import re
import unicodedata
from pathlib import PurePosixPath

# The first kinds are what cameras write, the last ones are what masks are saved as: of two files that share a stem,
# the one with the higher rank is the mask. Phone and raw formats stand here so that they are refused with a reason.
CAMERA_RAW = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw", ".x3f")
UNREADABLE = (".heic", ".heif", ".hif", ".avif", ".jxl", ".tga", ".psd", ".exr", ".mpo", *CAMERA_RAW)
_RANKS = (
    (*(".jpg", ".jpeg", ".jpe", ".jfif", ".webp"), *UNREADABLE),
    (".bmp", ".tif", ".tiff", ".jp2"),
    (".png", ".ppm"),
    (".gif", ".pgm", ".pbm"),
)
MASK_RANK = {suffix: rank for rank, suffixes in enumerate(_RANKS) for suffix in suffixes}

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")

_WORDS = (
    "masks?|msks?|masken?|masques?|m[aá]scaras?|gt|ground[ _-]?truths?|labels?|seg|segs|segmentations?|annotations?|"
    "annots?|anno|ann"
)
_MASK_ENDING = re.compile(rf"^(?P<stem>.+?)[ _.-]+(?:{_WORDS})$", re.IGNORECASE)
_IMAGE_WORDS = "images?|img|photo|rgb|orig|original"
_IMAGE_ENDING = re.compile(rf"^(?P<stem>.+?)[ _.-]+(?:{_IMAGE_WORDS})$", re.IGNORECASE)
_IMAGE_BEGINNING = re.compile(rf"^(?:{_IMAGE_WORDS})[ _.-]+(?P<stem>.+)$", re.IGNORECASE)
_MASK_NUMBERED = re.compile(rf"^(?P<stem>.+?)(?P<between>[ _.-]+)(?:{_WORDS})[ _.-]?(?P<number>\d+)$", re.IGNORECASE)
_MASK_BEGINNING = re.compile(rf"^(?:{_WORDS})[ _.-]+(?P<stem>.+)$", re.IGNORECASE)
_DRAWN_OVER = re.compile(
    r"^(?P<stem>.+?)[ _.-]+(?:overlays?|vis|viz|visuali[sz]ations?|heatmaps?|bbox|boxes|annotated)$", re.IGNORECASE
)
_OVERLAY_FOLDER = re.compile(r"^(?:overlays?|viz|heat[ _-]?maps?|.*visuali[sz]ations?)$", re.IGNORECASE)
_KINDS = (
    "binary|pixel|label|gt|ground[ _-]?truth|seg|segmentation|semantic|instance|annotation|defect|human|machine|manual"
)
_MASKS = (
    rf"{_WORDS}|annotated|(?:{_KINDS})[ _-]?masks?|masks?[ _-](?:{_KINDS})|"
    "(?:masks?|gt|labels?)[ _-]?(?:images?|imgs?|png)|"
    "segmentation[ _-]?(?:class|object|masks?)(?:[ _-]?png)?"
)
_IMAGES = "images?|imgs?|photos?|photographs?|pictures?|pics|(?:jpeg|png)[ _-]?images"
_SPLITS = "train|training|val|valid|validation|test|testing"
_LAST = rf"(?:[ _-](?P<last>{_SPLITS}))?"
_VERSION = r"(?:[ _-]?\(?v?\d{1,2}\)?|[ _-](?:new|final|png))"
_MASK_FOLDER = re.compile(
    rf"^(?:(?:{_MASKS}){_LAST}|masks?{_VERSION}|(?P<split>{_SPLITS})[ _-](?:lab|{_MASKS}))$", re.IGNORECASE
)
_IMAGE_FOLDER = re.compile(rf"^(?:(?P<split>{_SPLITS})[ _-])?(?:{_IMAGES}){_LAST}$", re.IGNORECASE)
_OTHER_MASKS = re.compile(r"object|instance|human", re.IGNORECASE)
_SPLIT_FOLDER = re.compile(rf"^(?:{_SPLITS})$", re.IGNORECASE)
_UNLABELLED = re.compile(rf"^un[ _-]?label+ed(?:[ _-]?(?:{_IMAGES}|data|new|more|\d+))*$", re.I)
_AUGMENTED = re.compile(r"^(?P<stem>.+)\.rf\.[0-9A-Za-z]{8,}$")  # RoboFlow's changed copies of one photograph
_LITTER = re.compile(
    r"^(?:\..*|thumbs\.db|desktop\.ini|__macosx|@eadir|#recycle|@recycle|\$recycle\.bin|system volume information|"
    r"thumbs|thumbnails?)$",
    re.I,
)


def is_litter(name: str) -> bool:
    """Tell whether a file or folder is hidden or left by a file manager (`Thumbs.db`, `.DS_Store`, `@eaDir`)."""
    return bool(_LITTER.match(name))


def shown(path: str) -> str:
    """Return a path that can be printed and written to a table: what is not UTF-8 or controls a terminal is escaped."""
    text = path.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter.encode("unicode_escape").decode() if _is_control(letter) else letter for letter in text)


def why_bad_name(path: str) -> str | None:
    """Return why a path cannot be used as the name of an image (with a folder's name at fault too), None if it can."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name or a folder's is not valid UTF-8; rename it"
    if any(_is_control(letter) for letter in path):
        return "its name or a folder's holds a control character, such as a line break; rename it"
    return None


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Zl", "Zp")


def is_mask_folder(name: str) -> bool:
    """Tell whether a folder's name means that it holds masks."""
    return bool(_MASK_FOLDER.match(name))


def is_image_folder(name: str) -> bool:
    """Tell whether a folder's name means no more than that it holds images."""
    return bool(_IMAGE_FOLDER.match(name))


def split_in(name: str) -> str | None:
    """Return the split in the name of a folder of images or masks, in small letters: `Train_images`, `masks_train`."""
    match = _MASK_FOLDER.match(name) or _IMAGE_FOLDER.match(name)
    split = match and (match["split"] or match["last"])
    return split and split.lower()


def is_overlay_folder(name: str) -> bool:
    """Tell whether a folder's name means photographs with something drawn over: `SegmentationClassVisualization`."""
    return bool(_OVERLAY_FOLDER.match(name))


def without_overlay_ending(stem: str) -> str | None:
    """Return what stands before an ending such as `_overlay` or `_viz`; None if there is no such ending."""
    match = _DRAWN_OVER.match(stem)
    return match["stem"] if match else None


def is_of_other_masks(name: str) -> bool:
    """Tell whether a folder holds a second form of the same masks: `SegmentationObject`, `masks_human`."""
    return is_mask_folder(name) and bool(_OTHER_MASKS.search(name))


def is_unlabelled(name: str) -> bool:
    """Tell whether a folder's name means that its images carry no label."""
    return bool(_UNLABELLED.match(name))


def split_of(image: PurePosixPath) -> str | None:
    """Return train or test by the folders of an image (validation counts as train), None where they say neither."""
    for folder in image.parent.parts:
        split = folder.lower() if _SPLIT_FOLDER.match(folder) else split_in(folder)
        if split:
            return "test" if split.startswith("test") else "train"
    return None


def photograph_of(stem: str) -> str | None:
    """Return the photograph of which RoboFlow's name says that a file is a changed copy; None for another name."""
    match = _AUGMENTED.match(stem)
    return match["stem"] if match else None


def is_structural(name: str) -> bool:
    """Tell whether a folder's name says nothing about the class: `Imgs`, `photos`, `masks`, `train`."""
    return is_image_folder(name) or is_mask_folder(name) or bool(_SPLIT_FOLDER.match(name))


def without_mask_ending(stem: str) -> str | None:
    """Return what stands before an ending such as `_mask`, `-gt` or ` label`; None if there is no such ending."""
    match = _MASK_ENDING.match(stem)
    return match["stem"] if match else None


def without_image_word(stem: str) -> str:
    """Return a stem without an ending such as `_img` or ` photo`, or a beginning such as `img_`; itself without."""
    match = _IMAGE_ENDING.match(stem) or _IMAGE_BEGINNING.match(stem)
    return match["stem"] if match else stem


def without_image_suffix(stem: str) -> str:
    """Return a stem without an image's suffix within it (`x` of `x.jpg`, where the file is `x.jpg.png`)."""
    path = PurePosixPath(stem)
    return path.stem if path.suffix.lower() in MASK_RANK else stem


def is_told_by_another(stem: str) -> bool:
    """Tell whether a file of this name may be the mask of another photograph, or that one with something drawn over."""
    if without_mask_ending(stem) or stems_if_mask(stem) or without_overlay_ending(stem):
        return True
    return without_image_suffix(stem) != stem


def composed(name: str) -> str:
    """Return a name with its accents as part of the letters, as most systems write it; macOS takes them apart."""
    return unicodedata.normalize("NFC", name)


def stems_if_mask(stem: str) -> list[str]:
    """Return whose mask a file may be that is called `x_mask_2` (of `x_2`, or of `x`) or `mask_x`, likeliest first.

    It is their mask only if an image of that name is there: photographs are called so too, such as `label_3`.
    """
    numbered, beginning = _MASK_NUMBERED.match(stem), _MASK_BEGINNING.match(stem)
    found = [f"{numbered['stem']}{numbered['between']}{numbered['number']}", numbered["stem"]] if numbered else []
    return found + ([beginning["stem"]] if beginning else [])
