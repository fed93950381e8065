"""How photographs are divided: by group (honest), and in two ways that flatter, to be measured against it.

`random` forgets the groups: pictures of one object, and near copies, come to lie on several sides. `after_augmentation`
is the cable paper's: copies are made first and divided one by one, so that nearly every test image has a twin that was
learned from. Scores from these two say little about new objects; the report says so in red. `given` keeps the test
split that a data set comes with, and divides the rest by group: it is as honest as the data set is.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from defectdistill.data.errors import DataError
from defectdistill.data.split import fold_split, grouped_split, held_back

HONEST = ("grouped", "given")
PROTOCOLS = (*HONEST, "random", "after_augmentation")
COPIES = 4  # of each photograph, before it is divided: "about four times the original number"
COPY_NAME = "{name} (copy {copy})"

Row = dict[str, str]


def divide(
    rows: Sequence[Mapping[str, str]],
    protocol: str,
    fractions: Sequence[float],
    seed: int,
    folds: int = 0,
    fold: int = 0,
    drawn: Collection[str] = (),
) -> tuple[list[Row], list[str]]:
    """Return the labelled rows, each with its `copy`, and the side of each.

    `rows` have `name`, `label` and `group`; `protocol` is one of `PROTOCOLS`, the rest as in `grouped_split` and, with
    `folds` above 0, `fold_split`, `drawn` by name; `given` takes `fractions[1]` of what is not test for validation, and
    knows no folds. A `copy` above 0 stands for an augmented copy, which only `after_augmentation` makes, under a name
    of its own. Raises `DataError` as these do.
    """
    numbers = range(COPIES + 1 if protocol == "after_augmentation" else 1)
    divided = [named(row, copy) for row in rows for copy in numbers]
    groups = [row["group" if protocol in HONEST else "name"] for row in divided]
    labels, masks = [row["label"] for row in divided], [row["name"] in drawn for row in rows for _ in numbers]
    if protocol == "given":
        return divided, given_split(divided, labels, groups, fractions, seed, masks)
    if folds:
        return divided, fold_split(labels, groups, folds, fold, seed, masks)
    return divided, grouped_split(labels, groups, fractions, seed, masks)


def given_split(
    rows: Sequence[Mapping[str, str]],
    labels: Sequence[str],
    groups: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    drawn: Sequence[bool],
) -> list[str]:
    """Return test for what the data set calls test, and divide the rest by group: `fractions[1]` of it for validation.

    Raises `DataError` for an image of which the data set says nothing, for a class of the test split of which there is
    nothing to learn from, and as `held_back` does.
    """
    silent = [row["name"] for row in rows if row["split"] not in ("train", "test")]
    if silent:
        raise DataError(
            f"prepare.protocol = 'given': {len(silent)} images, {silent[0]} for one, come without a split; use grouped"
        )
    taught = {label for label, row in zip(labels, rows, strict=True) if row["split"] == "train"}
    only_tested = sorted({*labels} - taught)
    if only_tested:
        raise DataError(
            f"prepare.protocol = 'given': of {', '.join(only_tested)} there are test images alone, none to learn from; "
            "give some in the training split, or use grouped"
        )
    learned = [position for position, row in enumerate(rows) if row["split"] == "train"]
    of_learned = ([values[position] for position in learned] for values in (labels, groups))
    sides = held_back(*of_learned, fractions[1], seed, [drawn[position] for position in learned])
    found = ["test"] * len(rows)
    for position, side in zip(learned, sides, strict=True):
        found[position] = side
    return found


def named(row: Mapping[str, str], copy: int) -> Row:
    """Return a row of a photograph (copy 0) or of a copy of it."""
    name = COPY_NAME.format(name=row["name"], copy=copy) if copy else row["name"]
    return {**row, "name": name, "copy": str(copy)}


def by_photograph(rows: Sequence[Mapping[str, str]]) -> list[list[int]]:
    """Return the positions of each photograph's rows, itself before its copies, whichever of them are there."""
    positions: dict[str, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        name, copy = row["name"], row["copy"]
        positions[name.removesuffix(COPY_NAME.format(name="", copy=copy))].append(position)
    return [sorted(found, key=lambda position: int(rows[position]["copy"])) for found in positions.values()]


def copied(row: Row, image: np.ndarray, mask: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return image (S, S, 3) and mask (S, S) of a row, uint8: as they are, or changed as the paper's Table 3 says."""
    if row["copy"] == "0":
        return image, mask
    from defectdistill.data.augment import PUBLISHED, augment_one, copy_seed, table3  # torch, seldom needed here

    return augment_one(image, mask, table3(len(image), **PUBLISHED), copy_seed(seed, row["name"], int(row["copy"])))


def described(protocol: str, fractions: Sequence[float], seed: int, folds: int, fold: int) -> str:
    """Return the protocol in words, for summary.json and the report."""
    how = f"fold {fold} of 0 to {folds - 1}" if folds else "/".join(f"{100 * share:g}" for share in fractions)
    if protocol == "given":
        share = f"{100 * fractions[1]:g} % of the others for validation"
        return f"the test split as the data set gives it, {share}, stratified by group, seed {seed}"
    by = {
        "grouped": "by group",
        "random": "at random, whatever the group",
        "after_augmentation": f"at random after augmentation ({COPIES} copies of each photograph)",
    }
    return f"stratified {how} {by[protocol]}, seed {seed}"
