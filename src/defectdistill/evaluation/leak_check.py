"""Looks for near copies of test photographs among those that were learned from, in the arrays as they were prepared."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from defectdistill.data.fingerprint import fingerprint
from defectdistill.data.near_duplicates import find_links
from defectdistill.data.packed import open_array, read_index

LEARNED_FROM, UNLABELLED, TEST = ("train", "val"), "unlabelled", "test"
WITHOUT_TEACHER = ("masks", "none")  # methods of `distill`


def taught_unlabelled(distill: Mapping[str, Any]) -> bool:
    """Whether a student learned from photographs without a label: only a teacher says something of them.

    `distill` holds the keys of that section of params.yaml.
    """
    return distill["unlabelled"] and (distill["method"] not in WITHOUT_TEACHER or distill["hint_epochs"] > 0)


def find_leaks(prepared: Path, classes: Sequence[str], unlabelled: bool = False) -> dict[str, Any]:
    """Return what of the test split has a near copy among what was learned from, whatever the split was made by.

    `prepared` is data/prepared, `classes` its class names; `unlabelled` says whether the student learned from the
    photographs without a label that are not held out, besides those of training and validation; it is returned too.
    `learned_from` and `test` are the numbers of photographs, `even` of them too even to be compared. `pairs` names a
    copy for each test photograph that has any, in order of name: `name`, `label`, `other` (that was learned from),
    `other_label` (may be empty), `split`, `relation`, `similarity`. `shared_groups` is the
    number of groups with labelled photographs in more than one split: a test split that came with them may have some.
    """
    sides = [*LEARNED_FROM, *[UNLABELLED] * unlabelled, TEST]
    indices = {side: read_index(prepared / side) for side in sides}
    shown = {side: [row for row, entry in enumerate(indices[side]) if not entry.get("held_out")] for side in sides}
    rows = [indices[side][row] | {"split": side} for side in sides for row in shown[side]]
    fingerprints = np.concatenate([_fingerprints(prepared / side, shown[side]) for side in sides if shown[side]])
    order = sorted(range(len(rows)), key=lambda position: rows[position]["name"])
    rows, fingerprints = [rows[position] for position in order], fingerprints[order]
    tested = np.array([row["split"] == TEST for row in rows])
    pairs = []
    for link in find_links(fingerprints, tested):
        row, other = (rows[position] for position in sorted((link.first, link.second), key=lambda end: not tested[end]))
        pairs.append(
            {
                "name": row["name"],
                "label": classes[int(row["label"])],
                "other": other["name"],
                "other_label": classes[int(other["label"])] if "label" in other else "",
                "split": other["split"],
                "relation": link.relation,
                "similarity": link.similarity,
            }
        )
    placed = {(row["group"], side) for side in (*LEARNED_FROM, TEST) for row in indices[side]}
    return {
        "unlabelled": unlabelled,
        "shared_groups": sum(count > 1 for count in Counter(group for group, _ in placed).values()),
        "learned_from": int((~tested).sum()),
        "test": int(tested.sum()),
        "even": int((~fingerprints.any(axis=(1, 2))).sum()),
        "pairs": sorted(pairs, key=lambda pair: (pair["name"], pair["other"])),
    }


def _fingerprints(folder: Path, rows: Sequence[int]) -> np.ndarray:
    images = open_array(folder / "images.npy")
    progress = tqdm(rows, desc=f"leak check, {folder.name}", unit=" images", disable=None)
    return np.stack([fingerprint(images[row]) for row in progress])
