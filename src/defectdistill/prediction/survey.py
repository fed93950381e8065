"""Reads finished tables once: how many of which class, and which photographs a page of limited length shows."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from defectdistill.prediction.tables import Record

SAMPLE_SHARE = 4  # one in so many of the page's pictures is of a certain one, where there are uncertain ones enough


@dataclass
class Survey:
    """Counts by class, of all and of the uncertain; the rows that are shown: uncertain ones with the lowest confidence
    first, and a sample of the certain ones by class."""

    counts: Counter = field(default_factory=Counter)
    uncertain_counts: Counter = field(default_factory=Counter)
    uncertain: list[Record] = field(default_factory=list)
    certain: list[Record] = field(default_factory=list)

    @property
    def images(self) -> int:
        """How many photographs were predicted."""
        return self.counts.total()

    @property
    def doubtful(self) -> int:
        """How many of them are uncertain."""
        return self.uncertain_counts.total()


def survey(rows: Iterable[Record], limit: int) -> Survey:
    """Count `rows` and choose at most `limit` of them; no more than twice that many are held.

    The sample depends on the names alone: the same photographs are shown however the run was cut up.
    """
    found = Survey()
    uncertain, certain = _Smallest(limit), _Smallest(limit)
    for row in rows:
        found.counts[row["class"]] += 1
        if row["uncertain"]:
            found.uncertain_counts[row["class"]] += 1
            uncertain.offer((row["confidence"], row["path"]), row)
        else:
            certain.offer((hashlib.sha256(str(row["path"]).encode()).hexdigest(), row["path"]), row)
    doubtful, sure = uncertain.sorted(), certain.sorted()
    kept = min(len(sure), max(limit - len(doubtful), limit // SAMPLE_SHARE))
    found.uncertain = doubtful[: limit - kept]
    found.certain = sorted(sure[:kept], key=lambda row: (str(row["class"]), row["confidence"], row["path"]))
    return found


class _Smallest:
    """The `limit` rows with the smallest keys of all that were offered."""

    def __init__(self, limit: int):
        self.limit, self.rows = limit, []

    def offer(self, key: tuple, row: Record) -> None:
        self.rows.append((key, row))
        if len(self.rows) >= 2 * self.limit:
            self.rows = heapq.nsmallest(self.limit, self.rows, key=lambda pair: pair[0])

    def sorted(self) -> list[Record]:
        return [row for _, row in heapq.nsmallest(self.limit, self.rows, key=lambda pair: pair[0])]
