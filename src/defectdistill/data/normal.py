"""Which classes are free of defects: their photographs need no mask, since there is nothing to mark."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from defectdistill.data.errors import DataError

_WORD = "good|ok|okay|normal|negatives?|free|clean|intact|healthy|passed|perfect|flawless|undamaged|uncracked"
_DEFECT = (
    "(?:(?:defect|damage|fault|flaw|crack|scratch|dent|rust)(?:s|es|d|ed|y|ive)?|corrosion|corroded|failures?|"
    "anomal(?:y|ies|ous))"
)
_WHAT = "(?:images?|imgs?|photos?|pictures?|parts?|pieces?|samples?|surfaces?|weld(?:s|ing|ings)?|class)"
_DOUBT = (
    "(?:not?|non|n|un|in|ab|sub|semi|false|almost|nearly|hardly|barely|never|less|bad|ng|nok|nicht|kein|pas|"
    rf"fail(?:ed)?|rework(?:ed)?|repair(?:ed)?|reject(?:ed)?|{_DEFECT})"
)
_NORMAL = re.compile(
    rf"^(?:{_WORD})$"
    rf"|^(?:good|ok|normal)[ _-]{_WHAT}$|^(?!{_DOUBT}[ _-])[a-z0-9]+[ _-](?:good|ok|okay|normal)$"
    rf"|^(?:no|non|not|without)[ _-]?{_DEFECT}(?:[ _-]{_WHAT})?$|^{_DEFECT}[ _-]?free$|^(?-i:[A-Z]{{2,3}})_free$",
    re.IGNORECASE,
)


def is_normal(name: str) -> bool:
    """Tell whether a class's name says that nothing is wrong: `good`, `OK`, `MT_Free`, `no_defect`, `non-cracked`."""
    return bool(_NORMAL.match(name))


def normal_classes(classes: Sequence[str], drawn: Collection[str], chosen: Sequence[str] | None) -> list[str]:
    """Return those of the `classes` that are without defects: the `chosen`, or with None those called so.

    A class that is among the `drawn`, of which a mask shows something, is not taken by its name. Raises `DataError` for
    a chosen name that is no class.
    """
    if chosen is None:
        return [name for name in classes if is_normal(name) and name not in drawn]
    for name in chosen:
        if name not in classes:
            raise DataError(f"prepare.normal_classes names {name!r}; the classes are {', '.join(classes)}")
    return [name for name in classes if name in chosen]


def normal_message(masks: Mapping[str, Any]) -> str:
    """Return in words what summary.json says of classes whose photographs have no masks; '' where there is none."""
    normal, unmarked = masks["normal_classes"], masks["unmarked_classes"]
    lines = [
        f"WARNING: {name} is not taken as a class without defects, since the mask of {photograph} shows something: "
        "empty it, or take it away, if there is none"
        for name, photograph in masks["doubtful_classes"].items()
    ]
    if masks["normal"]:
        lines.append(
            f"{', '.join(normal)}: without defects, an empty mask for {masks['normal']} photographs that have none "
            "(prepare.normal_classes)"
        )
    if unmarked:
        lines.append(
            f"{', '.join(unmarked)}: no photograph has a mask, so labels alone teach (a loss that takes them: "
            f"ce_dice_image); if there is nothing to mark, set prepare.normal_classes: [{', '.join(normal + unmarked)}]"
        )
    return "\n".join(lines)
