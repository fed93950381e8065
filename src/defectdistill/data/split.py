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
    reach: Sequence[int] = (0, 1, 2),
) -> list[str]:
    """Return `train`, `val` or `test` for each image, given its class and its group.

    Per class the wanted numbers are `fractions` of its images, rounded by largest remainder (train before val before
    test where equal) and at least 1; groups of one image meet them exactly: 32 at 70/15/15 become 22, 5, 5. Larger
    groups go first, each to the side that lacks most of its classes; of several seeded orders, the one closest to
    the wanted numbers is taken. Where that leaves a side without an image that has a mask (`drawn`), groups with masks
    are divided first: to train, then to val, then (where the numbers do not suffer) to test, or as the numbers in
    `reach` say. The result depends on the seed and on the set of (label, group, drawn) alone, not on the order of the
    input, as far as images of one class and group are alike. Raises `DataError` where a class has fewer than three
    groups, or no order brings every class to every side.
    """
    if len(fractions) != len(SIDES) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"split fractions {list(fractions)}: give three above 0 (train, val, test) that add up to 1")
    return [SIDES[part] for part in _divide(labels, groups, fractions, SIDES, seed, drawn, reach, needed=2)]


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
        for part in _divide(labels, groups, [1 / folds] * folds, parts, seed, drawn, range(folds), needed=folds)
    ]


def _divide(
    labels: Sequence[str],
    groups: Sequence[str],
    fractions: Sequence[float],
    names: Sequence[str],
    seed: int,
    drawn: Sequence[bool] | None,
    reach: Sequence[int],
    needed: int,
) -> list[int]:
    """Return for each image the part (0 …) that its group goes to, of parts with these shares and names.

    An image that is `drawn` should be in a part for each number in `reach`, one number a part, the lowest ones first;
    for numbers below `needed` that counts more than the shares.
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
    for led in sorted({0, needed, max(reach) + 1}):
        for _ in range(1 if is_single else ATTEMPTS):
            parts, missing, misfit = _assign(members, wanted, rng, with_mask if led else (), np.asarray(reach), led)
            reached = {reach[parts[group]] for group in with_mask}
            bare = [number not in reached for number in range(max(reach) + 1)][: len(with_mask)]
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
    reach: np.ndarray,
    led: int,
) -> tuple[dict[str, int], int, float]:
    """Assign every group once; return group → part, how many (class, part) pairs stayed empty, and the misfit.

    The groups to `spread` come first, and the first go to parts for whose number in `reach`, below `led`, there is none
    yet, from 0 on.
    """
    names = sorted(members)
    order = [names[i] for i in rng.permutation(len(names))]
    order.sort(key=lambda name: (name not in spread, 0 if name in spread else -sum(members[name].values())))
    bare = reach < led
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
            need = need + 1e4 * bare * (1 - reach / len(reach))
        side = int(np.argmax(need))
        if name in spread:
            bare &= reach != reach[side]
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
