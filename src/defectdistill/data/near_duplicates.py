"""Finds photographs that are copies of one another: encoded again, resized, cropped a little, brightened, turned.

Two steps. Hashes say which pairs are worth a look (one in a thousand); these are laid over one another as well as they
can be and compared in 64 × 64 pixels. The thresholds were measured: docs/your_own_data.md has the table.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from defectdistill.data.fingerprint import INVERSE, SIZE, TURNS, hashes, turned, turned_hashes

WORTH_A_LOOK = 0.70  # correlation of two hashes
SAME = 0.82  # correlation of two fingerprints, laid over one another
LEAST_SHARED = 0.6  # of the area of each: less is not cropped a little
BLOCK, CHUNK = 512, 256  # photographs, pairs at a time: memory is BLOCK × N numbers, a few times
MOST = 20  # pairs of a photograph that are looked at: before a fixed camera all are alike, and a copy is the most so
_CORNERS = np.array([[0, SIZE - 1, 0, SIZE - 1], [0, 0, SIZE - 1, SIZE - 1], [1, 1, 1, 1]], np.float32)
_AFTER = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)


@dataclass(frozen=True)
class Link:
    """Two copies: their positions (first < second), how alike they are (0…1), what the second is to the first."""

    first: int
    second: int
    similarity: float
    relation: str


def find_links(fingerprints: np.ndarray, apart: Sequence[bool] | None = None) -> list[Link]:
    """Return links that join every photograph to its copies, direct or by way of others: at most N − 1.

    `fingerprints` float16 (N,SIZE,SIZE) in order of the photographs' names: on the order it depends which of several
    links are named, not what hangs together. With `apart` (N booleans) a copy is looked for on the other side alone,
    and every photograph that has one there is in a link. What is too even to have a fingerprint has no copies.
    Only the most alike pairs are looked at, see `MOST`.
    """
    components, links = np.arange(len(fingerprints)), []
    sides = None if apart is None else np.asarray(apart, bool)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for pairs in _likely_pairs(fingerprints, sides):
            while len(pairs := pairs[components[pairs[:, 0]] != components[pairs[:, 1]]]):
                for link in threads.map(lambda pair: compare(fingerprints, *pair), pairs[:CHUNK].tolist()):
                    low, high = sorted((components[link.first], components[link.second]))
                    if link.similarity >= SAME and low != high:
                        components[components == high] = low
                        links.append(link)
                pairs = pairs[CHUNK:]
    return sorted(links, key=lambda link: (link.first, link.second))


def _likely_pairs(fingerprints: np.ndarray, sides: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield rows (first, second, turn) of pairs whose hashes are alike, the most alike first, a block at a time."""
    whole, trimmed = hashes(fingerprints)
    every = np.arange(len(fingerprints))
    rows, columns = (every, every) if sides is None else (np.flatnonzero(sides), np.flatnonzero(~sides))
    for start in tqdm(range(0, len(rows), BLOCK), desc="near copies", unit=" blocks", disable=None):
        block = rows[start : start + BLOCK]
        others = columns if sides is not None else columns[start:]
        best = np.full((len(block), len(others)), -1, np.float32)
        turns = np.zeros(best.shape, np.uint8)
        for turn in range(len(TURNS)):
            # One of the two may be the cropped one.
            for one, other in ((whole, whole), (whole, trimmed), (trimmed, whole)):
                alike = one[block] @ turned_hashes(other[others], turn).T
                turns[alike > best] = turn
                np.maximum(best, alike, out=best)
        if sides is None:
            best[others[None] <= block[:, None]] = -1
        row, column = np.nonzero(_most_alike(best))
        order = np.argsort(-best[row, column], kind="stable")
        yield _pairs(block[row], others[column], turns[row, column])[order]


def _most_alike(alike: np.ndarray) -> np.ndarray:
    """Return which entries are worth a look: of each row the `MOST` most alike, of each column the most alike."""
    chosen = alike >= WORTH_A_LOOK
    if alike.shape[1] > MOST:
        least = -np.partition(-alike, MOST - 1, axis=1)[:, MOST - 1 : MOST]
        chosen &= (alike >= least) | (alike == alike.max(axis=0))
    return chosen


def _pairs(rows: np.ndarray, columns: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return (n,3): first, second, turn. `turns` lay the columns' photographs over the rows'."""
    turns = np.where(rows < columns, turns, INVERSE[turns])
    return np.stack([np.minimum(rows, columns), np.maximum(rows, columns), turns], axis=1)


def compare(fingerprints: np.ndarray, first: int, second: int, turn: int) -> Link:
    """Lay two fingerprints over one another, the second as `turned`, and return how alike they are where both are."""
    one = fingerprints[first].astype(np.float32)
    other = turned(fingerprints[second].astype(np.float32), turn)
    similarity, relation = _correlation(one.ravel(), other.ravel()), TURNS[turn]
    try:
        # Evangelidis and Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization",
        # 2008; an affine map of the first's pixels to the second's.
        start = np.eye(2, 3, dtype=np.float32)
        _, warp = cv2.findTransformECC(one, other, start, cv2.MOTION_AFFINE, _AFTER, None, 3)
    except cv2.error:  # it does not converge: these are not alike
        return Link(first, second, similarity, relation)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shared = cv2.warpAffine(np.ones_like(other), warp, (SIZE, SIZE), flags=flags) > 0.99
    growth = abs(float(np.linalg.det(warp[:, :2])))
    if min(shared.mean(), shared.mean() * growth) < LEAST_SHARED:
        return Link(first, second, similarity, relation)
    laid_over = _correlation(one[shared], cv2.warpAffine(other, warp, (SIZE, SIZE), flags=flags)[shared])
    if laid_over > similarity and np.abs(warp @ _CORNERS - _CORNERS[:2]).max() > 1:
        relation += ", cropped or shifted"
    return Link(first, second, max(similarity, laid_over), relation)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    length = float(np.sqrt((one @ one) * (other @ other)))
    return round(float(one @ other) / length, 3) if length else 0.0
