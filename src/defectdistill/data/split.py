"""Splits photographs into train, val and test by group: stratified by class, no group ever on two sides."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from defectdistill.data.errors import DataError

SIDES = ("train", "val", "test")

# Greedy assignment can end in a corner where groups are few; each attempt meets them in another order.
ATTEMPTS = 30


def grouped_split(
    labels: Sequence[str],
    groups: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    drawn: Sequence[bool] | None = None,
) -> list[str]:
    """Return `train`, `val` or `test` for each image, given its class and its group.

    Per class the wanted numbers are `fractions` of its images, rounded by largest remainder (train before val before
    test where equal) and at least 1; groups of one image meet them exactly: 32 at 70/15/15 become 22, 5, 5. Larger
    groups go first, each to the side that lacks most of its classes; of several seeded orders, the one closest to the
    wanted numbers is taken. Where that leaves a side without an image that has a mask (`drawn`), groups with masks are
    divided first: to train, then to val, then (where the numbers do not suffer) to test. The result depends on the seed
    and on the set of (label, group, drawn) alone, not on the order of the input, as far as images of one class and
    group are alike. Raises `DataError` where a class has fewer than three groups, or no order brings every class to
    every side.
    """
    if len(fractions) != len(SIDES) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"split fractions {list(fractions)}: give three above 0 (train, val, test) that add up to 1")
    return [SIDES[part] for part in _divide(labels, groups, fractions, SIDES, seed, drawn, needed=2)]


def held_back(
    labels: Sequence[str], groups: Sequence[str], share: float, seed: int, drawn: Sequence[bool] | None = None
) -> list[str]:
    """Return `train` or `val` for each image that is not tested, `share` of each class for `val`, as `grouped_split`.

    Raises `DataError` where a class has fewer than two groups, or no order brings every class to both sides.
    """
    parts = _divide(labels, groups, (1 - share, share), SIDES[:2], seed, drawn, needed=2)
    return [SIDES[part] for part in parts]


def fold_split(
    labels: Sequence[str], groups: Sequence[str], folds: int, fold: int, seed: int, drawn: Sequence[bool] | None = None
) -> list[str]:
    """Return `train`, `val` or `test` for each image in one round of a cross-validation.

    The groups are divided into `folds` ≥ 3 equal parts as in `grouped_split`, masks to each; part `fold` (from 0) is
    the test split, the next one (after the last comes the first) the validation split, and the others are for training.
    Over all rounds every image is tested once. Raises `DataError` where a class has fewer groups than there are parts.
    """
    parts = [f"fold {part}" for part in range(folds)]
    return [
        {fold: "test", (fold + 1) % folds: "val"}.get(part, "train")
        for part in _divide(labels, groups, [1 / folds] * folds, parts, seed, drawn, needed=folds)
    ]


def _divide(
    labels: Sequence[str],
    groups: Sequence[str],
    fractions: Sequence[float],
    names: Sequence[str],
    seed: int,
    drawn: Sequence[bool] | None,
    needed: int,
) -> list[int]:
    """Return for each image the part (0 …) that its group goes to, of parts with these shares and names.

    An image that is `drawn` should be in every part, the first ones first; for the first `needed` that counts more than
    the shares.
    """
    members: dict[str, Counter] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    _check_groups(members, Counter(labels), names)
    wanted = {label: _quota(count, fractions) for label, count in sorted(Counter(labels).items())}
    rng = np.random.default_rng(seed)
    is_single = all(sum(counts.values()) == 1 for counts in members.values())
    with_mask = {group for group, mask in zip(groups, drawn or [False] * len(groups), strict=True) if mask}
    found = []
    for led in sorted({0, needed, len(fractions)}):
        for _ in range(1 if is_single else ATTEMPTS):
            parts, missing, misfit = _assign(members, wanted, rng, with_mask if led else (), led)
            reached = {parts[group] for group in with_mask}
            bare = [part not in reached for part in range(len(fractions))][: len(with_mask)]
            found.append((missing, bare[:needed], misfit, bare[needed:], parts))
        missing, *bare, parts = min(found, key=lambda attempt: attempt[:4])
        if not any(bare[0] + bare[2]):
            break  # masks are where they are needed, mostly by themselves
    if missing:
        raise DataError(
            f"no split brings every class to {_listed(names)} ({missing} are missing somewhere): "
            f"{_widest(members)}; give finer groups or add photographs of other objects"
        )
    return [parts[group] for group in groups]


def _quota(count: int, fractions: Sequence[float]) -> np.ndarray:
    exact = count * np.asarray(fractions, float)
    quota = np.floor(exact + 1e-9)
    # Stable sort: train before val before test where remainders are equal; 1e-9 swallows the rounding of floats.
    order = np.argsort(-np.round(exact - quota, 9), kind="stable")
    quota[order[: count - int(quota.sum())]] += 1
    for side in np.flatnonzero(quota < 1):
        quota[quota.argmax()] -= 1
        quota[side] += 1
    return quota


def _assign(
    members: Mapping[str, Counter],
    wanted: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    spread: Collection[str],
    led: int,
) -> tuple[dict[str, int], int, float]:
    """Assign every group once; return group → part, how many (class, part) pairs stayed empty, and the misfit.

    The groups to `spread` come first, and of these the first go to those of the first `led` parts that have none yet,
    from 0 on.
    """
    names = sorted(members)
    order = [names[i] for i in rng.permutation(len(names))]
    order.sort(key=lambda name: (name not in spread, 0 if name in spread else -sum(members[name].values())))
    parts = np.arange(len(next(iter(wanted.values()))))
    bare = parts < led
    lacking = {label: quota.copy() for label, quota in wanted.items()}
    seen = {label: np.zeros(len(quota), bool) for label, quota in wanted.items()}
    left = Counter(label for counts in members.values() for label in counts)
    sides = {}
    for name in order:
        counts = members[name]
        # Each class weighs by the share of it that the group holds: rare classes are not drowned by common ones.
        need = sum(number * lacking[label] / wanted[label].sum() for label, number in sorted(counts.items()))
        for label in counts:
            if left[label] <= np.count_nonzero(~seen[label]):  # its last groups must fill the sides without it
                need = need + 1e6 * ~seen[label]
        if name in spread:
            need = need + 1e4 * bare * (1 - parts / len(parts))
        side = int(np.argmax(need))
        if name in spread:
            bare[side] = False
        sides[name] = side
        for label, number in counts.items():
            lacking[label][side] -= number
            seen[label][side] = True
            left[label] -= 1
    missing = sum(int(np.count_nonzero(~flags)) for flags in seen.values())
    misfit = sum(float(np.abs(rest).sum() / wanted[label].sum()) for label, rest in lacking.items())
    return sides, missing, round(misfit, 9)


def _check_groups(members: Mapping[str, Counter], images: Counter, names: Sequence[str]) -> None:
    for label in sorted(images):
        number = sum(label in counts for counts in members.values())
        if number < len(names):
            raise DataError(
                f"class {label!r} has {images[label]} images in {number} group(s); at least {len(names)} groups are "
                f"needed, one each for {', '.join(names)} ({_widest(members)}); add photographs of other objects of "
                "this class, give finer groups, or leave the class out"
            )


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _widest(members: Mapping[str, Counter]) -> str:
    name = min(members, key=lambda group: (-len(members[group]), -sum(members[group].values()), group))
    counts = members[name]
    return f"the widest group, {name!r}, holds {sum(counts.values())} images of {len(counts)} class(es)"
