"""Looks for near copies of test photographs among those that were learned from, in the arrays as they were prepared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from defectdistill.data.fingerprint import fingerprint
from defectdistill.data.near_duplicates import find_links
from defectdistill.data.packed import open_array, read_index

LEARNED_FROM, TEST = ("train", "val"), "test"


def find_leaks(prepared: Path, classes: Sequence[str]) -> dict[str, Any]:
    """Return what of the test split has a near copy in training or validation, whatever the split was made by.

    `prepared` is data/prepared, `classes` its class names. `learned_from` and `test` are the numbers of photographs,
    `even` of them too even to be compared. `pairs` names a copy for each test photograph that has any, in order of
    name: `name`, `label`, `other` (of training or validation), `other_label`, `split`, `relation`, `similarity`.
    """
    rows = [row | {"split": split} for split in (*LEARNED_FROM, TEST) for row in read_index(prepared / split)]
    fingerprints = np.concatenate([_fingerprints(prepared / split) for split in (*LEARNED_FROM, TEST)])
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
                "other_label": classes[int(other["label"])],
                "split": other["split"],
                "relation": link.relation,
                "similarity": link.similarity,
            }
        )
    return {
        "learned_from": int((~tested).sum()),
        "test": int(tested.sum()),
        "even": int((~fingerprints.any(axis=(1, 2))).sum()),
        "pairs": sorted(pairs, key=lambda pair: (pair["name"], pair["other"])),
    }


def _fingerprints(folder: Path) -> np.ndarray:
    images = open_array(folder / "images.npy")
    return np.stack([fingerprint(image) for image in tqdm(images, desc="leak check", unit=" images", disable=None)])
