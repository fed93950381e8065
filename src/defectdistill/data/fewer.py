"""What fewer labels, or fewer masks, would have given: those of some training photographs are set aside.

A set that is labelled throughout can so tell what labelling less of it would have cost, and what photographs without
a label are worth. Validation and test are left alone.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from defectdistill.data.errors import DataError

Row = dict[str, str]
NO_MASK = "without_mask"  # the key of a row whose mask is set aside


def kept(rows: Sequence[Mapping[str, str]], limit: int | None, key: str, seed: int) -> list[bool]:
    """Return for each row whether it is among `limit` rows that are spread over the labels in proportion.

    Every label keeps at least one. The fewer are always part of the more: each label's rows, sorted by name and put
    into an order by `seed`, are taken from the front. None keeps all. `key` names the parameter in an error. Raises
    `DataError` for a limit below the number of labels.
    """
    count = Counter(row["label"] for row in rows)
    if limit is None or limit >= len(rows):
        return [True] * len(rows)
    if limit < len(count):
        raise DataError(
            f"prepare.{key} = {limit}: each of the {len(count)} classes needs one ({', '.join(sorted(count))}); give "
            "more, or null for all"
        )
    positions = sorted(range(len(rows)), key=lambda position: rows[position]["name"])
    places: dict[int, tuple[float, str]] = {}
    rng = np.random.default_rng(seed)
    for label in sorted(count):
        own = [position for position in positions if rows[position]["label"] == label]
        for place, chosen in enumerate(rng.permutation(len(own))):
            # The first of every label comes before all others.
            places[own[chosen]] = ((place + 0.5) / len(own) if place else 0.0, label)
    first = set(sorted(places, key=places.__getitem__)[:limit])
    return [position in first for position in range(len(rows))]


def set_aside(
    rows: Sequence[Row],
    sides: Sequence[str],
    label_limit: int | None,
    mask_limit: int | None,
    seed: int,
    given: bool,
    normal: Collection[str] = (),
) -> tuple[list[Row], list[str], list[Row]]:
    """Return the labelled rows and their sides, and the training rows that lose their label.

    Of the training rows that keep their label and have a mask all but `mask_limit` get the key `NO_MASK`. Where masks
    are `given` and there are any, those count; where all come by threshold, every row has one. Photographs of `normal`
    classes have nothing to mark, and do not count. Raises `DataError` as `kept`.
    """
    train = [position for position, side in enumerate(sides) if side == "train"]
    labels = kept([rows[position] for position in train], label_limit, "label_limit", seed)
    lost = {position for position, keeps in zip(train, labels, strict=True) if not keeps}
    train = [position for position in train if position not in lost]
    marked = [position for position in train if rows[position]["label"] not in normal]
    masked = [position for position in marked if given and rows[position]["mask"]] or marked
    masks = kept([rows[position] for position in masked], mask_limit, "mask_limit", seed)
    bare = {position for position, keeps in zip(masked, masks, strict=True) if not keeps}
    left = [position for position in range(len(rows)) if position not in lost]
    labelled = [rows[position] | ({NO_MASK: "yes"} if position in bare else {}) for position in left]
    return labelled, [sides[position] for position in left], [rows[position] for position in sorted(lost)]


def in_words(label_limit: int | None, mask_limit: int | None) -> str:
    """Return what is set aside, to follow the protocol's words; '' for nothing."""
    parts = [
        (label_limit, "labels of training photographs"),
        (mask_limit, "masks of training photographs with defects"),
    ]
    said = [f"at most {limit} {what} kept" for limit, what in parts if limit is not None]
    return "".join(f"; {words}" for words in said)
