"""Finds out how a set of masks is coded and turns each into a label map: 0 background, class index + 1 elsewhere."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.mask_image import MaskImage

TABLED = ("labels", "palette", "colours")  # codings in which what a mask holds can name a class
# How a set can be coded. The first three lead to the same label map and differ in what is reported.
CODINGS = ("binary", "zero_one", "grey", *TABLED)

# A grey mask that holds nothing above this holds ids: nobody's edges are smoothed from 0 to 32.
LARGEST_ID = 32

# Smoothed edges run up to one white and, where a set's masks are of several brightnesses, have more grey levels than
# this: else these are kinds of defect drawn as greys.
FEW = 16

# A colour below this in every channel counts as black: noise that JPEG leaves around a drawing.
DARKEST_COLOUR = 64

BACKGROUND = "background"

Table = Mapping[str, int | Sequence[int]]


def detect_coding(masks: Iterable[MaskImage], class_count: int, table: Table | None = None) -> str:
    """Return the one of `CODINGS` that explains all `masks` of a set (read once, one at a time).

    A `table` (class name → id or [r, g, b]) decides by its kind of entry. Without one: `binary` 0 and one value above
    `LARGEST_ID`, `zero_one` 0 and 1, `labels` ids, `grey` anything between 0 and 255 (smoothed edges, or 0/1 and 0/255
    mixed), `palette` where palette indices 1…`class_count` mean the same colour in every file, `colours` for all other
    coloured masks. Raises `DataError` for a few grey levels that fit none of these, such as ids drawn as 85, 170, 255:
    to guess would lose defects without a word.
    """
    grey_values = np.zeros(256, bool)
    white_around_ids, highest = False, set()
    indices: dict[int, tuple[int, ...]] = {}
    true_colour = same_palette = False
    for mask in masks:
        if not mask.is_coloured():
            values = np.unique(mask.brightness())
            grey_values[values] = True
            shown = values[values > 0].tolist()
            highest |= set(shown[-1:])
            white_around_ids |= len(shown) > 1 and shown[-1] == 255 and shown[-2] <= LARGEST_ID
        elif mask.palette is None:
            true_colour = True
        else:
            same_palette = _agrees(mask, indices) and (same_palette or not indices)
            indices |= {int(i): tuple(mask.palette[i].tolist()) for i in np.unique(mask.values)}
    if table:
        return _coding_of_table(table, bool(indices))
    if true_colour or indices:
        # Two indices in all cannot tell the classes apart: they mean defect and background.
        is_ids = same_palette and 1 < max(indices, default=0) <= class_count and not any(indices.get(0, ()))
        return "palette" if is_ids and not true_colour else "colours"
    levels = (np.flatnonzero(grey_values[1:]) + 1).tolist()
    if levels == [1, 255] and not white_around_ids:
        return "grey"  # 0/1 in some files is 0/255 in others
    differ = max(highest, default=0) - min(highest, default=0) > LARGEST_ID
    return _coding_of_greys(levels, FEW if white_around_ids or differ else class_count + 1)


def resolve_table(table: Table | None, classes: Sequence[str], coding: str) -> dict[int | tuple[int, ...], int] | None:
    """Return value in the mask → label (0 background, class index + 1), or None where the image's class decides.

    Without a `table`, ids 1…K are the classes in order, and the other codings need none. A class may be missing from
    the table (a normal class has no marks). The name `background` gives the background another value than 0 or black.
    Raises `DataError` for a table where the coding has none, an unknown class, an entry of the wrong kind and a value
    that stands twice.
    """
    if coding not in TABLED:
        if table and coding in CODINGS:
            raise DataError(
                f"prepare.mask_table is set, but the masks are read as {coding!r}, where the class of an image "
                f"decides: leave it out, or say by prepare.mask_coding what the masks hold ({', '.join(TABLED)})"
            )
        return None
    if not table:
        return None if coding == "colours" else {label: label for label in range(len(classes) + 1)}
    entries = {BACKGROUND: 0 if coding != "colours" else (0, 0, 0), **table}
    result: dict[int | tuple[int, ...], int] = {}
    for name, value in entries.items():
        if name != BACKGROUND and name not in classes:
            raise DataError(f"prepare.mask_table names the class {name!r}; the classes are {', '.join(classes)}")
        key = _table_key(name, value, coding)
        if key in result:
            raise DataError(f"prepare.mask_table gives {value} to {name!r} and to another entry; each needs its own")
        result[key] = 0 if name == BACKGROUND else list(classes).index(name) + 1
    return result


def to_label_map(
    mask: MaskImage, coding: str, class_index: int, table: Mapping[int | tuple[int, ...], int] | None, name: str
) -> np.ndarray:
    """Turn the mask of an image of class `class_index` into a label map: uint8 (height, width), 0 = background.

    Binary codings: the upper half of the brightness is the image's own class (of what the mask holds in `binary`, of
    0…255 in `grey`). Ids and colours: after `table` as `resolve_table` returns it; colours without a table: what is not
    black is the image's own class. A mask that holds 0 and 1 alone means it by 1, whatever the others hold. Raises
    `DataError` that names `name`, the value and the table where the table lacks an id or colour.
    """
    if table is not None:
        return _by_table(mask, coding, table, name)
    brightness = mask.brightness()
    highest = int(brightness.max())
    lowest = {"colours": DARKEST_COLOUR, "binary": (highest + 1) // 2}.get(coding, 128)
    if highest <= 1:
        lowest = 1
    return np.where(brightness >= lowest, class_index + 1, 0).astype(np.uint8)


def _by_table(mask: MaskImage, coding: str, table: Mapping, name: str) -> np.ndarray:
    if coding == "colours":
        values = mask.colours().astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        known = {red * 65536 + green * 256 + blue: label for (red, green, blue), label in table.items()}
    else:
        if mask.values.ndim == 3:
            raise DataError(f"the mask of {name} shows colours, not {coding}; force prepare.mask_coding=colours")
        values, known = mask.values, table
    found, position = np.unique(values, return_inverse=True)
    missing = [int(value) for value in found if int(value) not in known]
    if missing:
        raise DataError(_missing_value(missing, coding, table, name))
    return np.array([known[int(value)] for value in found], np.uint8)[position].reshape(values.shape)


def _missing_value(missing: list[int], coding: str, table: Mapping, name: str) -> str:
    kind, value = "id", str(missing[0])
    if coding == "colours":
        kind, value = "colour", str([missing[0] >> 16, missing[0] >> 8 & 255, missing[0] & 255])
    known = ", ".join(f"{list(key) if isinstance(key, tuple) else key} = {label}" for key, label in table.items())
    return (
        f"the mask of {name} holds the {kind} {value} ({len(missing)} such in all), which stands for nothing in the "
        f"table ({known}; 0 is background, then the classes by name); add it to prepare.mask_table, save the mask "
        "without smoothed edges, or force another prepare.mask_coding"
    )


def _agrees(mask: MaskImage, indices: Mapping[int, tuple[int, ...]]) -> bool:
    shown = {int(index): tuple(mask.palette[index].tolist()) for index in np.unique(mask.values)}
    return all(indices.get(index, colour) == colour for index, colour in shown.items())


def _coding_of_table(table: Table, has_palette: bool) -> str:
    if not all(isinstance(value, int) for value in table.values()):
        return "colours"
    return "palette" if has_palette else "labels"


def _coding_of_greys(values: list[int], few: int) -> str:
    """Return the coding of a set with these grey levels; up to `few` of them are no smoothed edges."""
    highest = max(values, default=0)
    if highest == 0 or (len(values) == 1 and highest > LARGEST_ID):
        return "binary"
    if highest <= LARGEST_ID:
        return "zero_one" if highest == 1 else "labels"
    if highest < 128 or len(values) <= few:
        levels = ", ".join(map(str, values[:8])) + (", …" if len(values) > 8 else "")
        raise DataError(
            f"the masks hold the grey levels {levels}, neither black and white nor ids up to {LARGEST_ID}: say which "
            "class each stands for by prepare.mask_table, or force prepare.mask_coding (binary: the upper half of each "
            "mask is a defect; grey: from 128 on)"
        )
    return "grey"


def _table_key(name: str, value: int | Sequence[int], coding: str) -> int | tuple[int, ...]:
    if coding == "colours":
        if isinstance(value, int) or len(value) != 3 or not all(0 <= channel <= 255 for channel in value):
            raise DataError(f"prepare.mask_table: {name} = {value}; a colour is [r, g, b], each from 0 to 255")
        return tuple(value)
    if not isinstance(value, int) or not 0 <= value <= 255:
        raise DataError(f"prepare.mask_table: {name} = {value}; an id is a whole number from 0 to 255")
    return value
