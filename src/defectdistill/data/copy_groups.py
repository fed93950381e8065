"""Puts near copies into one group, so that they never lie on two sides of the split, and lists them."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from defectdistill.data.components import components
from defectdistill.data.fingerprint import fingerprint
from defectdistill.data.images import decode_image
from defectdistill.data.near_duplicates import Link, find_links
from defectdistill.data.preprocess import resize as resize_image
from defectdistill.data.tables import inside, write_table

TABLE = "near_duplicates.csv"
COLUMNS = ("copies", "name", "label", "other", "other_label", "relation", "similarity", "two_labels")
_NAMED = 20


@dataclass(frozen=True)
class Copies:
    """The near copies among some photographs: `links` by their positions, how many were too even to be compared."""

    rows: Sequence[Mapping[str, str]]
    links: Sequence[Link]
    even: int

    def sets(self) -> list[list[int]]:
        """Return the positions that hang together, in order; photographs without a copy are in none."""
        members = defaultdict(list)
        roots = components(len(self.rows), [(link.first, link.second) for link in self.links])
        for position in sorted({end for link in self.links for end in (link.first, link.second)}):
            members[roots[position]].append(position)
        return list(members.values())

    def has_two_labels(self, members: Sequence[int]) -> bool:
        """Return whether a set of copies stands under several labels; no label is none."""
        return len({self.rows[position]["label"] for position in members} - {""}) > 1

    def groups(self) -> list[str]:
        """Return the group of each photograph: its own, joined with those of its copies under a name that is new."""
        own = [row["group"] for row in self.rows]
        numbers = {group: number for number, group in enumerate(sorted(set(own)))}
        roots = components(len(numbers), [(numbers[own[link.first]], numbers[own[link.second]]) for link in self.links])
        names, sizes = sorted(numbers), Counter(roots)
        return [
            f"{names[roots[numbers[group]]]} and copies" if sizes[roots[numbers[group]]] > 1 else group for group in own
        ]

    def table(self) -> list[tuple]:
        """Return the rows of `TABLE`: each set of copies by a number, and the links that hold it together."""
        numbers, marks = {}, {}
        for number, members in enumerate(self.sets(), start=1):
            numbers |= dict.fromkeys(members, number)
            marks[number] = "yes" if self.has_two_labels(members) else ""
        rows = []
        for link in self.links:
            number, first, second = numbers[link.first], self.rows[link.first], self.rows[link.second]
            names = (first["name"], first["label"], second["name"], second["label"])
            rows.append((number, *names, link.relation, f"{link.similarity:.3f}", marks[number]))
        return sorted(rows)

    def write(self, folder: Path) -> None:
        """Write `TABLE` into `folder`."""
        write_table(folder / TABLE, COLUMNS, self.table())

    def summary(self) -> dict[str, int | list[str]]:
        """Return what summary.json says of them.

        `photographs` that have a copy, in how many `sets`, of which the `largest` has so many; `two_labels` sets stand
        under several labels, the first of them with names and labels in `doubtful`; `even` were not compared.
        """
        sets = self.sets()
        doubtful = [members for members in sets if self.has_two_labels(members)]
        return {
            "photographs": sum(map(len, sets)),
            "sets": len(sets),
            "largest": max(map(len, sets), default=0),
            "two_labels": len(doubtful),
            "doubtful": [self._named(members) for members in doubtful[:_NAMED]],
            "even": self.even,
        }

    def _named(self, members: Sequence[int]) -> str:
        rows = [self.rows[position] for position in members[:_NAMED]]
        rest = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
        return ", ".join(f"{row['name']} ({row['label'] or 'no label'})" for row in rows) + rest


def copies_message(summary: Mapping[str, Any]) -> str:
    """Return in words what summary.json says of near copies: loud about those that stand under two labels."""
    if not summary["searched"]:
        return "near copies were not looked for (prepare.near_duplicates: false)"
    text = f"{summary['photographs']} photographs are near copies, in {summary['sets']} sets ({TABLE})"
    if summary["even"]:
        text += f"; {summary['even']} are too even to be compared"
    if summary["two_labels"]:
        text += f"\nWARNING: {summary['two_labels']} of these sets stand under two labels; say which is right:"
    return "\n  ".join([text, *summary["doubtful"]])


def find_copies(raw: Path, rows: Sequence[Mapping[str, str]], size: int, resize: str) -> Copies:
    """Return the near copies among the images of `ingest.write_raw`, as they look at `size` and `resize`.

    `rows` are those of index.csv in order of name, with and without a label. They are compared as the networks will see
    them, so that a check of the prepared arrays finds the same. One image a thread is in memory.
    """

    def look(row: Mapping[str, str]) -> np.ndarray:
        return fingerprint(resize_image(decode_image(inside(raw, row["image"]).read_bytes()), size, resize))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        looks = tqdm(threads.map(look, rows), total=len(rows), desc="fingerprints", unit=" images", disable=None)
        fingerprints = np.stack(list(looks))
    return Copies(rows, find_links(fingerprints), int((~fingerprints.any(axis=(1, 2))).sum()))
