"""What repeated experiments say together: student against baseline over folds and seeds, read from MLflow."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from defectdistill.data.tables import write_table
from defectdistill.evaluation.repeated import Comparison, Training, compare, plot_trainings
from defectdistill.tracking.store import EXPERIMENT, finished_runs, reader, tracking_uri

SPLITS = ("prepare.fold", "prepare.seed")
SEEDS = ("augment.seed", "teacher.seed", "student.seed")
ELSEWHERE = ("evaluate.", "compute.threads")  # no training depends on the one, and hardly on the other
PHOTOGRAPHS = "raw/sha256"  # the tag with the digest of what every split is made of
SHOWN = 12  # digits of it
COLUMNS = ("settings", "split", "seed", "student", "baseline", "run")


def summary(metric: str, output: Path) -> Iterator[str]:
    """Yield the lines that compare student and baseline by `metric` (test/…), for each group of equal settings.

    A group are complete runs of the same photographs that differ in fold and seeds alone and are more than one; of runs
    with the same fold and seeds the last counts. Runs that do not say of which photographs they are stand by
    themselves. Writes `trainings.csv` and a picture for each group into `output`. Raises ValueError
    where no group is found.
    """
    groups = grouped(metric)
    if not groups:
        raise ValueError(
            f"no two runs of the same photographs in {tracking_uri()} differ in fold or seed alone and have {metric!r} "
            "of both models: run `make crossval`, or `dvc exp run -S student.seed=1`"
        )
    output.mkdir(parents=True, exist_ok=True)
    rows = []
    shared = set.intersection(*(set(settings.items()) for settings, _ in groups))
    for number, (settings, runs) in enumerate(groups, start=1):
        trainings = [training_of(run, metric) for run in runs]
        picture = plot_trainings(output / f"trainings_{number}.png", trainings, metric)
        own = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()) if (name, value) not in shared)
        yield from words(number, own, metric, compare(trainings, test_share(runs[0].data.params)), picture)
        for training, run in zip(trainings, runs, strict=True):
            rows.append((number, training.split, training.seed, training.student, training.baseline, run.info.run_id))
    write_table(output / "trainings.csv", COLUMNS, rows)
    yield f"every training: {output / 'trainings.csv'}"


def grouped(metric: str) -> list[tuple[dict[str, str], list[Any]]]:
    """Return (settings, runs) of all groups of at least two runs, the largest first."""
    groups: dict[frozenset, dict[tuple, Any]] = defaultdict(dict)
    for run in finished_runs(reader(), EXPERIMENT):
        if {metric, f"baseline/{metric}"} <= set(run.data.metrics):
            place = tuple(run.data.params.get(name) for name in SPLITS + SEEDS)
            settings = {
                name: value
                for name, value in run.data.params.items()
                if name not in SPLITS + SEEDS and not name.startswith(ELSEWHERE)
            }
            settings[PHOTOGRAPHS] = run.data.tags.get(PHOTOGRAPHS, "unknown")[:SHOWN]
            groups[frozenset(settings.items())][place] = run  # oldest first: a later one takes its place
    found = [(dict(settings), list(runs.values())) for settings, runs in groups.items() if len(runs) > 1]
    return sorted(found, key=lambda group: (-len(group[1]), group[1][0].info.start_time))


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


def words(number: int, settings: str, metric: str, found: Comparison, picture: Path) -> Iterator[str]:
    """Yield what a comparison says."""
    yield f"group {number}{f' ({settings})' if settings else ''}: {found.trainings} trainings, {metric}"
    for model, (mean, spread) in (("student", found.student), ("baseline", found.baseline)):
        yield f"  {model:<9} {mean:.3f}" + (f"  standard deviation {spread:.3f}" if found.units > 1 else "")
    line = f"  difference {found.difference:+.3f}"
    if found.units > 1:
        line += f", 95 % interval {found.low:+.3f} to {found.high:+.3f}, p = {found.p_value:.3g}"
    yield f"{line}, over {found.units} {found.over}"
    yield f"  {picture}"
