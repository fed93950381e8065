"""What repeated experiments say together: student against baseline over folds and seeds, read from MLflow."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.tables import write_table
from defectdistill.evaluation.repeated import Comparison, Training, compare, plot_trainings
from defectdistill.tracking.store import EXPERIMENT, finished_runs, reader, shown_uri

SPLITS = ("prepare.fold", "prepare.seed")
SEEDS = ("augment.seed", "teacher.seed", "student.seed")
ELSEWHERE = ("evaluate.", "compute.threads")  # no training depends on the one, and hardly on the other
UNCALIBRATED = ("test/", "validation/")  # scores; others depend on these two, which count there
CALIBRATED = ("evaluate.calibrate", "evaluate.target_accuracy")
PHOTOGRAPHS = "raw/sha256"  # the tag with the digest of what every split is made of
SHOWN = 12  # digits of it
CODE = ("src/", "stages/")  # files in which a change may change a result
COLUMNS = ("settings", "split", "seed", "student", "baseline", "run")


def summary(metric: str, output: Path, complete: bool = False) -> Iterator[str]:
    """Yield the lines that compare student and baseline by `metric` (test/…), for each group of equal settings.

    A group are complete runs of the same photographs that differ in fold and seeds alone and are more than one; of runs
    with the same fold and seeds the last counts. Runs that do not say of which photographs they are stand by
    themselves. Folds that are missing are named. Writes `trainings.csv` and a picture for each group into `output`.
    Raises ValueError where no group is found, and with `complete` after all else where folds of the newest run's group
    are missing.
    """
    found = grouped(metric)
    groups = [(settings, runs) for settings, runs in found if len(runs) > 1]
    if not groups:
        require_known(metric)
        raise ValueError(
            f"no two runs of the same photographs in {shown_uri()} differ in fold or seed alone and have {metric!r} "
            "of both models: run `make crossval`, or `dvc exp run -S student.seed=1`"
        )
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    shared = set.intersection(*(set(settings.items()) for settings, _ in groups))
    for number, (settings, runs) in enumerate(groups, start=1):
        trainings = [training_of(run, metric) for run in runs]
        picture = plot_trainings(output / f"trainings_{number}.png", trainings, metric)
        own = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()) if (name, value) not in shared)
        compared = compare(trainings, test_share(runs[0].data.params))
        images = runs[0].data.tags.get("data/test_images", "")
        yield from words(number, own, metric, compared, picture, f"{images} test photographs".strip())
        yield from other_code(runs)
        for training, run in zip(trainings, runs, strict=True):
            rows.append((number, training.split, training.seed, training.student, training.baseline, run.info.run_id))
    write_table(output / "trainings.csv", COLUMNS, rows)
    for _, runs in found:
        yield from missing_folds(runs)
    yield f"every training: {output / 'trainings.csv'}"
    newest = max((runs for _, runs in found), key=lambda runs: max(run.info.start_time for run in runs))
    if complete and (missing := missing_folds(newest)):
        raise ValueError(f"{'; '.join(missing)}: train them again (make crossval), then compare")


def grouped(metric: str) -> list[tuple[dict[str, str], list[Any]]]:
    """Return (settings, runs) of all groups, the largest first; some are of a single run."""
    groups: dict[frozenset, dict[tuple, Any]] = defaultdict(dict)
    counted = () if metric.startswith(UNCALIBRATED) else CALIBRATED
    for run in finished_runs(reader(), EXPERIMENT):
        if {metric, f"baseline/{metric}"} <= set(run.data.metrics):
            place = tuple(run.data.params.get(name) for name in SPLITS + SEEDS)
            settings = {
                name: value
                for name, value in run.data.params.items()
                if name not in SPLITS + SEEDS and (not name.startswith(ELSEWHERE) or name in counted)
            }
            settings[PHOTOGRAPHS] = run.data.tags.get(PHOTOGRAPHS, "unknown")[:SHOWN]
            groups[frozenset(settings.items())][place] = run  # oldest first: a later one takes its place
    found = [(dict(settings), list(runs.values())) for settings, runs in groups.items()]
    return sorted(found, key=lambda group: (-len(group[1]), group[1][0].info.start_time))


def require_known(metric: str) -> None:
    """Raise ValueError, naming what is near, for a score that no run has of both models, where runs have others."""
    names = {name for run in finished_runs(reader(), EXPERIMENT) for name in run.data.metrics}
    known = sorted(name for name in names if f"baseline/{name}" in names)
    if known and metric not in known:
        near = ", ".join(difflib.get_close_matches(metric, known, 3, cutoff=0.0))
        raise ValueError(f"no run has {metric!r} of student and baseline; near it are {near} ({len(known)} in all)")


def missing_folds(runs: Iterable[Any]) -> list[str]:
    """Return a line for every seed of a group of which there are some folds and not all: those that are missing."""
    found = defaultdict(set)
    for params in (run.data.params for run in runs):
        if int(params.get("prepare.folds", 0)) and params.get("prepare.protocol") != "given":
            found[listed(params, SPLITS[1:] + SEEDS), int(params["prepare.folds"])].add(int(params["prepare.fold"]))
    lines = []
    for (seeds, folds), there in sorted(found.items()):
        if missing := sorted(set(range(folds)) - there):
            lines.append(f"of {folds} folds ({seeds}) these are missing: {', '.join(map(str, missing))}")
    return lines


def other_code(runs: Iterable[Any]) -> Iterator[str]:
    """Yield a warning where runs that are compared were not made by one and the same code, as far as their tags say."""
    tags = [run.data.tags for run in runs]
    commits = sorted({of["mlflow.source.git.commit"][:SHOWN] for of in tags if "mlflow.source.git.commit" in of})
    changed = sum(any(line[3:].startswith(CODE) for line in of.get("git.changed", "").splitlines()) for of in tags)
    facts = [f"the runs are of {len(commits)} commits ({', '.join(commits)})"] if len(commits) > 1 else []
    facts += [f"{changed} of them ran changed code"] if changed else []
    if facts:
        yield f"  warning: {' and '.join(facts)}: a difference may come from the code"


def training_of(run: Any, metric: str) -> Training:
    """Return a complete run's scores with its split and seeds in words.

    Under `prepare.protocol: given` all share one test split; `prepare.seed` divides the rest, a seed like others.
    """
    params = run.data.params
    if params.get("prepare.protocol") == "given":
        split, seed = "the given test split", listed(params, SPLITS[1:] + SEEDS)
    else:
        split, seed = listed(params, SPLITS), listed(params, SEEDS)
    return Training(split, seed, run.data.metrics[metric], run.data.metrics[f"baseline/{metric}"])


def listed(params: dict[str, str], names: Iterable[str]) -> str:
    """Return parameters in words: `prepare fold 0, prepare seed 1`."""
    return ", ".join(f"{name.replace('.', ' ')} {params.get(name)}" for name in names)


def test_share(params: dict[str, str]) -> float:
    """Return how many test photographs there are for one that is trained on."""
    folds = int(params.get("prepare.folds", 0))
    if folds:
        return 1 / (folds - 2)
    test, val = float(params["prepare.test_fraction"]), float(params["prepare.val_fraction"])
    return test / (1 - test - val)


def words(number: int, settings: str, metric: str, found: Comparison, picture: Path, tested: str) -> Iterator[str]:
    """Yield what a comparison says; `tested` are the test photographs, in words."""
    yield f"group {number}{f' ({settings})' if settings else ''}: {found.trainings} trainings, {metric}"
    for model, (mean, spread) in (("student", found.student), ("baseline", found.baseline)):
        yield f"  {model:<9} {mean:.3f}" + (f"  standard deviation {spread:.3f}" if found.units > 1 else "")
    line = f"  difference {found.difference:+.3f}"
    if np.isfinite(found.low):
        line += f", 95 % interval {found.low:+.3f} to {found.high:+.3f}, p = {found.p_value:.3g}"
    elif found.units > 1:
        line += ", the same each time: no interval"
    same = f", on the same {tested} each time; others may say otherwise" if found.over == "seeds" else ""
    yield f"{line}, over {found.units} {found.over}{same}"
    yield f"  {picture}"
