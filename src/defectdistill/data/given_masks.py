"""What the given masks of a set show as a whole: which are empty, and where they hardly mean what they were read as."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.normal import is_normal
from defectdistill.data.tables import read_json

NEARLY_ALL = 0.9  # of a photograph: a mark of this share is hardly a defect
SMALL = 4  # pixels a side: what halves of halves leave nothing of


class GivenMasks:
    """Keeps count of the label maps made of the given masks of a set, at their own size.

    `classes` are the labels in order of name, `unmarked` those of them without defects or without a mask of their own,
    `coding` one of `masks.CODINGS`. `meaning` says in words what the ids or colours were read as, '' where the image's
    class decides; `assumed` tells that nobody said so.
    """

    def __init__(self, classes: Sequence[str], unmarked: Sequence[str], coding: str, meaning: str, assumed: bool):
        self.classes, self.unmarked, self.coding = classes, unmarked, coding
        self.meaning, self.assumed = meaning, assumed
        self._empty: list[tuple[str, str]] = []
        self._marked: Counter[str] = Counter()
        self._foreign: defaultdict[str, list[str]] = defaultdict(list)
        self._faultless: list[str] = []
        self._faint: defaultdict[str, list[str]] = defaultdict(list)
        self._in_part = 0  # masks that mark some pixels and not all
        self._hollow: list[str] = []
        self._shares: list[float] = []

    def add(self, name: str, label: str, label_map: np.ndarray, drawn: bool) -> None:
        """Count the label map, uint8 (height, width), of the photograph `name` of class `label`; `drawn` says whether
        the mask's file shows anything.
        """
        shown = label_map > 0
        if not shown.any():
            self._empty.append((name, label))
            if drawn:
                self._faint[label].append(name)
            return
        self._marked[label] += 1
        self._shares.append(float(shown.mean()))
        if not shown.all():
            self._in_part += 1
            if np.concatenate([shown[0], shown[-1], shown[:, 0], shown[:, -1]]).all():
                self._hollow.append(name)
        found = {self.classes[index - 1] for index in np.unique(label_map[shown]).tolist()}
        if label not in found:
            self._foreign[label].append(name)
        if found & {*self.unmarked}:
            self._faultless.append(name)

    def empty_on_defect(self) -> list[tuple[str, str]]:
        """Return (name, label) of the masks that mark nothing, in classes of which other photographs are marked.

        A class whose masks are all empty is a normal one: they are right.
        """
        return sorted((name, label) for name, label in self._empty if self._marked[label])

    def summary(self, size: int) -> dict[str, Any]:
        """Return the numbers of `empty_on_defect`, of masks that mark `something` or `nearly_all`, `in_part` that of
        those that mark some pixels and not all; by name those that are `hollow` or `faint`; and `median_side`.

        Hollow masks mark the whole border and leave out something within. Faint ones show something, which was read as
        nothing, in classes of which other photographs are marked. `median_side` is that of a square as large as the
        median mark, in pixels of photographs `size` pixels a side (None without any mark).
        """
        side = round(float(np.median(self._shares)) ** 0.5 * size, 1) if self._shares else None
        return {
            "empty_on_defect": len(self.empty_on_defect()),
            "something": self._marked.total(),
            "in_part": self._in_part,
            "hollow": sorted(self._hollow),
            "faint": sorted(name for label, names in self._faint.items() if self._marked[label] for name in names),
            "nearly_all": sum(share > NEARLY_ALL for share in self._shares),
            "median_side": side,
        }

    def check(self) -> None:
        """Raise `DataError` if most marked masks of a class lack it, if any marks a class without defects or masks of
        its own, or if what the masks of a class show counts in none of them as a mark.

        The ids then mean something else. A single mask may be drawn wrongly. Ids often leave out the classes that have
        nothing to mark, or number the kinds of defect where the classes are good and bad.
        """
        for label, faint in sorted(self._faint.items()):
            right = label in self.unmarked or is_normal(label)  # to show nothing
            if len(faint) >= 2 and not self._marked[label] and not right:
                raise DataError(
                    f"{len(faint)} masks of {label}, {faint[0]} for one, show something too dark to count as a mark "
                    f"(read as {self.coding}): draw it brighter, or force another prepare.mask_coding"
                )
        for label, foreign in sorted(self._foreign.items()):
            if len(foreign) >= 2 and 2 * len(foreign) > self._marked[label]:
                raise DataError(
                    f"{len(foreign)} of {self._marked[label]} masks of {label}, {foreign[0]} for one, do not mark that "
                    f"class; the {self.coding} were read as {self.meaning}: say what they mean by prepare.mask_table "
                    "or force prepare.mask_coding=binary"
                )
        if self.assumed and self._faultless:
            raise DataError(
                f"{len(self._faultless)} masks, {self._faultless[0]} for one, mark a class without defects or without "
                f"a mask of its own ({', '.join(self.unmarked)}); the {self.coding} were read as {self.meaning}. If "
                "they number kinds of defect, force prepare.mask_coding=binary; else say what they mean by "
                "prepare.mask_table"
            )


def check_left_out(raw: Path) -> None:
    """Raise `DataError` if there were masks and none of them can be used: a rule is not what somebody drew."""
    lost = read_json(raw / "summary.json")["masks_left_out"]
    if lost:
        raise DataError(
            f"{lost} masks or annotations were found and none can be used ({raw / 'rejected.csv'} says why of each): "
            "mend them, or set prepare.masks: threshold to have all made by a rule instead"
        )


def check_shown(labels: Sequence[str], normal: Sequence[str]) -> None:
    """Raise `DataError` if masks of photographs with the `labels`, which all show nothing, should show a defect."""
    if empty := sorted({*labels} - {*normal}):
        raise DataError(
            f"{len(labels)} masks were read and not one shows anything, those of {', '.join(empty)} among them (black, "
            "or black drawn on a transparent layer): draw defects bright on black, or set prepare.masks: threshold to "
            "have all made by a rule instead"
        )


def check_marked(marked: Mapping[str, int], masks: str) -> None:
    """Raise `DataError` if training or validation has no marked image: a teacher could not learn, or not be judged."""
    wider = "make them by threshold where there is none (prepare.masks: given_else_threshold)"
    if masks == "threshold":
        wider = "or do without (prepare.masks: none and a teacher that needs none, teacher.network: classifier)"
    for side in ("train", "val"):
        if not marked[side]:
            raise DataError(
                f"no image of the split {side!r} has a mask that shows a defect: give more masks (and keep their "
                f"labels, if prepare.label_limit is set), {wider}, or try another prepare.seed"
            )


def marks_message(summary: Mapping[str, Any]) -> str:
    """Return in words what is odd about the marks that summary.json describes; '' where nothing is."""
    lines, masks, size = [], summary["masks"], summary["size"]
    if lost := summary["masks_left_out"]:
        lines.append(f"WARNING: {lost} masks were left out; data/raw/rejected.csv says why of each")
    if made := masks["threshold"]:
        lines.append(
            f"{'WARNING: all ' * (not masks['given'])}{made} masks were made by a rule that marks what "
            "is darker than its surroundings; where defects are not, that teaches nonsense: look at "
            "metrics/prepare/contact_sheet.png, and draw masks, or take a teacher that needs none "
            "(prepare.masks: none, teacher.network: classifier)"
        )
    if hollow := masks["hollow"]:
        lines.append(
            f"WARNING: {len(hollow)} of {masks['in_part']} masks, that of {hollow[0]} for one, mark the whole border "
            "but a part within: if that part is the defect, they are inverted; invert the files, and look at the "
            "contact sheet"
        )
    if 2 * len(hollow) <= masks["in_part"] and 2 * masks["nearly_all"] > masks["given"]:
        lines.append(
            f"WARNING: {masks['nearly_all']} of {masks['given']} masks mark nearly the whole photograph: if what they "
            "leave out is the defect, they are inverted, or their background is not black; look at the contact sheet"
        )
    if faint := masks["faint"]:
        lines.append(
            f"WARNING: {len(faint)} masks, that of {faint[0]} for one, show something too dark to count as a mark "
            f"(read as {masks['coding']}): they teach that nothing is there; draw them brighter, or force another "
            "prepare.mask_coding"
        )
    if masks["empty_on_defect"] - len(faint) > masks["something"]:
        lines.append(
            f"WARNING: {masks['empty_on_defect']} masks show nothing, in classes of which {masks['something']} others "
            "show a mark: if each folder holds photographs with a defect and without (parts, dates), make folders such "
            "as good and defect of them"
        )
    if masks["median_side"] is not None and masks["median_side"] < SMALL:
        lines.append(
            f"WARNING: half of the marks are smaller than {masks['median_side']} × {masks['median_side']} pixels of a "
            f"photograph that becomes {size} × {size}: a network hardly sees these; cut the photographs to the part, "
            "or raise prepare.image_size"
        )
    return "\n".join(lines)
