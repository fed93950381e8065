"""Makes the label map of each image of a set: from its mask, by threshold, or empty, and keeps count of which."""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.fewer import NO_MASK
from defectdistill.data.given_masks import GivenMasks, check_shown
from defectdistill.data.mask_image import MaskImage, decode_mask
from defectdistill.data.masks import CODINGS, Table, detect_coding, resolve_table, to_label_map
from defectdistill.data.normal import normal_classes
from defectdistill.data.preprocess import MODES, content_box, resize_mask
from defectdistill.data.tables import inside
from defectdistill.data.threshold_mask import threshold_mask

# Where label maps come from: given masks alone, the paper's threshold alone, the threshold for each image without a
# mask, or nowhere. `auto` is `given`, and `threshold` where no mask of the set shows anything: what a rule marks is not
# what a person marks, and teaches something else.
SOURCES = ("auto", "given", "threshold", "given_else_threshold", "none")
MOST_CLASSES = 255  # of a label map, uint8 with 0 for the background
GIVEN, THRESHOLD = ("auto", "given", "given_else_threshold"), ("threshold", "given_else_threshold")


class LabelMaps:
    """Label maps at the prepared size, 0 background and class index + 1, for the labelled rows of a raw index.

    `rows` are those of `ingest.write_raw`, all with a label; `masks` one of `SOURCES`; `coding` is `auto`, detected
    over all masks of the set, or one of `masks.CODINGS`. `classes` are the labels in order of name; of those that are
    `normal`, as in `normal_classes`, an image without a mask has an empty one. `drawn` are the names of the images of
    which a mask is read that shows anything, `given` what the masks that were made label maps of show as a whole.
    Raises `DataError` for an unknown setting, a table that does not fit, or masks of defects none of which shows any.
    """

    def __init__(
        self,
        raw: Path,
        rows: list[dict[str, str]],
        size: int,
        resize: str,
        masks: str,
        coding: str,
        table: Table | None,
        normal: Sequence[str] | None,
    ):
        if resize not in MODES or masks not in SOURCES or size < 1:
            raise DataError(
                f"prepare.image_size={size}, prepare.resize={resize!r}, prepare.masks={masks!r}: give a size above 0, "
                f"one of {', '.join(MODES)} and one of {', '.join(SOURCES)}"
            )
        if coding not in ("auto", *CODINGS):
            raise DataError(f"prepare.mask_coding={coding!r} is unknown; use auto, {', '.join(CODINGS)}")
        given = [row for row in rows if row["mask"] and masks in GIVEN]
        self.raw, self.size, self.resize, self.masks = raw, size, resize, masks
        self.classes = sorted({row["label"] for row in rows})
        if masks != "none" and len(self.classes) > MOST_CLASSES:
            raise DataError(
                f"{len(self.classes)} classes: a mask holds {MOST_CLASSES} at most; put classes together, or do "
                "without masks (prepare.masks: none and a teacher that needs none, teacher.network: classifier)"
            )
        self.drawn: set[str] = set()
        shown = self._read(given)
        found = detect_coding(shown, len(self.classes), table) if coding == "auto" else coding
        deque(shown, maxlen=0)  # all are read, where a coding is forced too
        if masks == "auto":
            self.masks = "given" if self.drawn else "threshold"
        self.coding = found if given and self.masks in GIVEN else "none"
        self.table = resolve_table(table, self.classes, self.coding)
        labels = {row["label"] for row in rows if row["name"] in self.drawn}
        self.normal = normal_classes(self.classes, labels, normal)
        called_so = normal_classes(self.classes, (), normal)
        self.doubtful = {name: self._first_drawn(rows, name) for name in called_so if name not in self.normal}
        without = {*self.classes} - {*self.normal} - {row["label"] for row in given}
        if masks == "auto" and not self.drawn:
            check_shown([row["label"] for row in given], self.normal)
        self.unmarked = sorted(without) if self.masks == "given" else []
        self._sources: Counter[str] = Counter()
        self.given = GivenMasks(
            self.classes, self.normal + self.unmarked, self.coding, self._meaning(), assumed=not table
        )

    def make(self, row: dict[str, str], shape: tuple[int, int], image: np.ndarray) -> tuple[np.ndarray, str]:
        """Return the label map uint8 (size, size) of one image, and where it comes from.

        That is `given`, `normal` (empty: nothing to mark), `threshold` or `none` (empty: nothing is known). `shape` is
        the original's height and width, `image` the prepared image, uint8 RGB (size, size, 3).
        """
        index, source = self.classes.index(row["label"]), self._source(row)
        self._sources[source] += 1
        if source == "given":
            return self._from_given(row, index), source
        label_map = np.zeros((self.size, self.size), np.uint8)
        if source == "threshold":
            box = content_box(*shape, self.size, self.resize)
            # Within the content alone: the edge of a padded border would be taken for a mark.
            label_map[box] = threshold_mask(image[box]) * (index + 1)
        return label_map, source

    def summary(self) -> dict:
        """Return `classes`, `size`, `resize` and `masks`.

        These are the coding, the label maps by source, what `GivenMasks.summary` says, the `normal_classes`, as
        `unmarked_classes` those others of which no image has a mask, empty or not, where images of others have, and
        the `doubtful_classes`, called as if without defects, each with an image whose mask shows something.
        """
        sources = {source: self._sources[source] for source in ("given", "normal", "threshold", "none")}
        masks = {"coding": self.coding, **sources, **self.given.summary(self.size)}
        masks |= {"normal_classes": self.normal, "unmarked_classes": self.unmarked, "doubtful_classes": self.doubtful}
        return {"classes": self.classes, "size": self.size, "resize": self.resize, "masks": masks}

    def _first_drawn(self, rows: list[dict[str, str]], label: str) -> str:
        return min(row["name"] for row in rows if row["label"] == label and row["name"] in self.drawn)

    def _source(self, row: dict[str, str]) -> str:
        if self.masks == "none":
            return "none"
        if row["mask"] and self.masks in GIVEN and NO_MASK not in row:
            return "given"
        if row["label"] in self.normal:
            return "normal"
        return "threshold" if self.masks in THRESHOLD and NO_MASK not in row else "none"

    def _from_given(self, row: dict[str, str], index: int) -> np.ndarray:
        label_map = to_label_map(self._decode(row), self.coding, index, self.table, row["name"])
        self.given.add(row["name"], row["label"], label_map, row["name"] in self.drawn)
        return resize_mask(label_map, self.size, self.resize)

    def _meaning(self) -> str:
        names = ["background", *self.classes]
        return ", ".join(f"{value} = {names[index]}" for value, index in (self.table or {}).items())

    def _read(self, rows: list[dict[str, str]]) -> Iterator[MaskImage]:
        for row in rows:
            mask = self._decode(row)
            if mask.brightness().any():
                self.drawn.add(row["name"])
            yield mask

    def _decode(self, row: dict[str, str]) -> MaskImage:
        return decode_mask(inside(self.raw, row["mask"]).read_bytes())
