"""A split as photographs: what a checkpoint scores on the originals, and which of them another model has learned from.

The arrays of `data/prepared` have one size and one way of resizing; the originals are what models of other sizes, and a
served model, have in common. Photographs are known by digests, so that no file name leaves the machine.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.data.images import decode_image
from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.scores import classification_scores
from defectdistill.predict import Predictor

BATCH = 64
DIGITS = 32  # hex digits of a digest: 128 bits


@dataclass(frozen=True)
class Photographs:
    """Labelled originals: `paths` (N), `labels` class indices (N), `classes` (K names), `keys` a set each (N).

    A key is a digest of the file's bytes (the first of `digests`), or of the group's name where there is a group.
    """

    paths: list[Path]
    labels: list[int]
    classes: list[str]
    digests: list[str]
    keys: list[frozenset[str]]

    def fingerprint(self) -> str:
        """Return the SHA-256 (64 hex digits) of the files' bytes with their classes, in no order."""
        rows = sorted(
            f"{digest} {self.classes[label]}" for digest, label in zip(self.digests, self.labels, strict=True)
        )
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def unseen_by(self, known: Sequence[str]) -> "Photographs":
        """Return the photographs of groups none of which shares a key with `known`.

        A group has another name once a copy has joined it: its photographs are told by each other.
        """
        met = frozenset(known).union(*(keys for keys in self.keys if not keys.isdisjoint(known)))
        kept = [position for position, keys in enumerate(self.keys) if keys.isdisjoint(met)]
        columns = (self.paths, self.labels, self.digests, self.keys)
        paths, labels, digests, keys = ([column[position] for position in kept] for column in columns)
        return Photographs(paths, labels, self.classes, digests, keys)

    def scores(self, folder: Path) -> dict[str, float]:
        """Return the `classification_scores` of the checkpoint in `folder` with its own preprocessing.

        Raises ValueError if there is no photograph, or the model knows other classes.
        """
        predictor = Predictor.load(folder)
        if predictor.classes != self.classes:
            raise ValueError(f"{folder} knows the classes {predictor.classes}, the photographs have {self.classes}")
        probs = [np.empty((0, len(self.classes)))]
        for start in range(0, len(self.paths), BATCH):
            originals = (decode_image(path.read_bytes()) for path in self.paths[start : start + BATCH])
            probs.append(predictor([predictor.preprocess(image) for image in originals]).probabilities)
        return classification_scores(np.concatenate(probs), np.array(self.labels, dtype=np.int64), self.classes)


def read_photographs(prepared: Path, raw: Path, sides: Sequence[str]) -> Photographs:
    """Return the originals in `raw` of the splits `sides` of `prepared`.

    Raises FileNotFoundError or ValueError that names what is missing.
    """
    rows, paths, digests, keys = _originals(prepared, raw, sides)
    classes = read_json(prepared / "summary.json")["classes"]
    return Photographs(paths, [int(row["label"]) for row in rows], classes, digests, keys)


def learned_from(prepared: Path, raw: Path) -> list[str]:
    """Return all keys, sorted, of what a student may have learned from: training, validation, and without a label.

    Not of a split where copies of one photograph lie on several sides: `registry` refuses those.
    Raises FileNotFoundError or ValueError that names what is missing.
    """
    *_, keys = _originals(prepared, raw, ("train", "val", "unlabelled"))
    return sorted(frozenset().union(*keys))


def _originals(
    prepared: Path, raw: Path, sides: Sequence[str]
) -> tuple[list[dict[str, str]], list[Path], list[str], list[frozenset[str]]]:
    """Return rows of the index, paths, digests and keys of the photographs that are not held out from their side.

    Augmented copies (`copy` above 0, protocol `after_augmentation`) are no photographs.
    """
    for path in (raw / "index.csv", prepared / "summary.json", *(prepared / side / "index.csv" for side in sides)):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: get it with `dvc checkout`, `dvc pull` or `dvc repro`")
    originals = {row["name"]: raw / row["image"] for row in read_table(raw / "index.csv")}
    rows = [row for side in sides for row in read_table(prepared / side / "index.csv")]
    rows = [row for row in rows if not row.get("held_out") and row.get("copy", "0") == "0"]
    gone = [row["name"] for row in rows if row["name"] not in originals or not originals[row["name"]].is_file()]
    if gone:
        raise ValueError(f"{len(gone)} photographs of {prepared} are not in {raw} ({gone[0]!r} first): run `dvc repro`")
    paths = [originals[row["name"]] for row in rows]
    digests = [digest(path.read_bytes()) for path in paths]
    # A photograph that is a group of its own carries its name as the group: that is no object that others show.
    groups = [{digest(row["group"].encode())} if row["group"] != row["name"] else set() for row in rows]
    return rows, paths, digests, [frozenset({own} | group) for own, group in zip(digests, groups, strict=True)]


def digest(content: bytes) -> str:
    """Return the first half of the SHA-256 of some bytes, as hex digits."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]
