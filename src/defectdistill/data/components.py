"""Which things hang together by links between pairs of them."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def components(count: int, pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each of `count` things the smallest that it hangs together with by `pairs`."""
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    _, parts = connected_components(graph, directed=False)
    return np.unique(parts, return_index=True)[1][parts].tolist()
