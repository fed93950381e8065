"""How far a score may be trusted: percentile intervals of the bootstrap (Efron 1979), drawn by group.

Photographs of one object are no independent witnesses, so whole groups are drawn, with replacement (cluster
bootstrap, Field and Welsh 2007). A resample is a row of weights: how often each image was drawn. A score is a function
of weights (R, N) that gives (R,) values, so that thousands of resamples are a few matrix products; with a single row
of ones it gives the score itself. What a resample cannot tell (it may hold no image of a class) is NaN in it, and left
out of the percentiles.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

COVERAGE = 0.95  # of every interval
LARGEST_BLOCK = 2_000_000  # weights held at once, 16 MB
DIGITS = 6  # of an interval's ends: the last bits depend on the processor

Measures = Mapping[str, np.ndarray]
Interval = list[float]
Estimate = tuple[float, Interval | None]  # a value and its interval, None where the resamples cannot tell


def resample(groups: Sequence[str], rounds: int, seed: int) -> np.ndarray:
    """Return how often each image is in each resample: float64 (rounds, N), whole numbers.

    `groups` (N) names each image's group. Every resample draws as many groups as there are, each with the same chance.
    Of fewer than two groups there is nothing to draw: (0, N), and no score has an interval.
    """
    names, members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if len(names) < 2:
        return np.ones((0, len(members)))
    chances = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), chances, size=rounds)
    return drawn[:, members].astype(np.float64)


def seed_part(count: int, rounds: int, seed: int) -> np.ndarray:
    """Return weights (rounds, count) that turn the scores of `count` seeds into draws of their mean's error.

    `weights @ scores` is s/√n times draws of Student's t with n − 1 degrees of freedom, s the standard deviation of the
    n scores: what the mean may differ by from that of all seeds (Student 1908), for any linear combination of scores
    alike, so that rows that share seeds stay paired. Drawing seeds with replacement instead makes intervals that are
    much too narrow: of two seeds they hold the truth in half of the cases. One seed tells nothing of others: zeros.
    """
    if count < 2:
        return np.zeros((rounds, count))
    generator = np.random.default_rng(seed)
    normal = generator.normal(size=(rounds, count))
    spread = np.sqrt(generator.chisquare(count - 1, size=(rounds, 1)) * count)
    return (normal - normal.mean(axis=1, keepdims=True)) / spread


def resampled(measure: Callable[[np.ndarray], Measures], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return `measure` of all resamples, (rounds,) by name, computed in blocks; `weights` is (rounds, N)."""
    step = max(1, LARGEST_BLOCK // max(1, weights.shape[1]))
    blocks = [measure(weights[start : start + step]) for start in range(0, max(1, len(weights)), step)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def once(measure: Callable[[np.ndarray], Measures], images: int) -> dict[str, float]:
    """Return `measure` of the `images` images themselves by name; what they cannot tell is left out."""
    values = measure(np.ones((1, images)))
    return {name: float(value[0]) for name, value in values.items() if np.isfinite(value[0])}


def interval(values: np.ndarray) -> Interval | None:
    """Return [low, high] of a score's values in the resamples, (rounds,); None where not even half can tell."""
    known = values[np.isfinite(values)]
    if 2 * len(known) < max(1, len(values)):
        return None
    # "+ 0": no negative zero.
    return [round(float(end), DIGITS) + 0.0 for end in np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])]


def intervals(samples: Measures, names: Sequence[str]) -> dict[str, Interval]:
    """Return [low, high] for those of `names` that the resamples can tell."""
    found = {name: interval(samples[name]) for name in names if name in samples}
    return {name: ends for name, ends in found.items() if ends is not None}


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of `values` (N,) in each resample of `weights` (R, N): (R,), NaN where it holds no image."""
    return ratio(weights @ np.asarray(values, dtype=np.float64), weights.sum(axis=1))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """Return the mean over the columns that are known, NaN where none is: (R, K) → (R,)."""
    return ratio(np.nansum(values, axis=1), np.isfinite(values).sum(axis=1))
