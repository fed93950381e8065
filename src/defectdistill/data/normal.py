"""Which classes are free of defects: their photographs need no mask, since there is nothing to mark."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from defectdistill.data.errors import DataError

_WORD = "good|ok|okay|normal|negatives?|free|clean|intact|healthy|passed|perfect|flawless|undamaged|uncracked"
_DEFECT = "(?:defect|damage|fault|flaw|crack|scratch|dent|rust|corrosion|anomal|fail)"
_NORMAL = re.compile(
    rf"^(?:{_WORD})$"
    rf"|^(?:good|ok|normal)[ _-]|^(?!(?:not?|non)[ _-]).*[ _-](?:{_WORD})$"  # but not "not ok", "no good"
    rf"|^(?:no|non|not|without)[ _-]?{_DEFECT}|^{_DEFECT}s?free$",
    re.IGNORECASE,
)


def is_normal(name: str) -> bool:
    """Tell whether a class's name says that nothing is wrong: `good`, `OK`, `MT_Free`, `no_defect`, `non-cracked`."""
    return bool(_NORMAL.match(name))


def normal_classes(rows: Sequence[Mapping[str, str]], chosen: Sequence[str] | None) -> list[str]:
    """Return the classes without defects, in order of name: those `chosen`, or with None those called so.

    `rows` have `label` and `mask`, '' where none is given. A class of which any photograph has a mask is not taken by
    its name: the masks say what there is to mark. Raises `DataError` for a chosen name that is no class.
    """
    classes = sorted({row["label"] for row in rows})
    if chosen is None:
        drawn = {row["label"] for row in rows if row["mask"]}
        return [name for name in classes if is_normal(name) and name not in drawn]
    for name in chosen:
        if name not in classes:
            raise DataError(f"prepare.normal_classes names {name!r}; the classes are {', '.join(classes)}")
    return [name for name in classes if name in chosen]


def message(masks: Mapping[str, Any]) -> str:
    """Return in words what summary.json says of classes whose photographs have no masks; '' where all have."""
    normal, unmarked = masks["normal_classes"], masks["unmarked_classes"]
    lines = []
    if normal:
        lines.append(
            f"{', '.join(normal)}: without defects, an empty mask for {masks['normal']} photographs that have none "
            "(prepare.normal_classes)"
        )
    if unmarked:
        lines.append(
            f"{', '.join(unmarked)}: no photograph has a mask, so labels alone teach; if there is nothing to mark, set "
            f"prepare.normal_classes: [{', '.join(normal + unmarked)}]"
        )
    return "\n".join(lines)
