"""What the command `defectdistill predict` does with a result or an error: words, and an exit status."""

import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from defectdistill.data.sources.folder.names import shown
from defectdistill.prediction import run
from defectdistill.prediction.options import Options
from defectdistill.prediction.output import PAGE, UNFINISHED
from defectdistill.prediction.tables import REJECTED
from defectdistill.stage import in_words

ALL, SOME, FAILED, INTERRUPTED = 0, 1, 2, 130  # exit statuses


def predict(
    paths: Sequence[Path],
    model: Path,
    calibration: Path,
    output: Path,
    options: Options,
    ray_workers: int = 0,
    ray_address: str | None = None,
) -> int:
    """Predict, say what came out, and return the exit status."""
    try:
        return _predict(paths, model, calibration, output, options, ray_workers, ray_address)
    except KeyboardInterrupt:
        print(f"stopped; what was done stands in {output / UNFINISHED}, the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # or Python's own status would be 1: all but some bad files is done
        words = in_words(error, [str(output)])
        if words is None:
            traceback.print_exc()
            words = "predict did not finish; run the same command again to go on"
        print(f"defectdistill: {words}", file=sys.stderr)
        return FAILED


def _predict(
    paths: Sequence[Path],
    model: Path,
    calibration: Path,
    output: Path,
    options: Options,
    ray_workers: int,
    ray_address: str | None,
) -> int:
    if ray_address is not None and not ray_workers:
        raise ValueError(
            f"--ray-address {ray_address} without --ray-workers: say how many processes score there (--ray-workers 2), "
            "or leave out --ray-address to predict in this process"
        )
    assessor = run.load_assessor(model, calibration, options.batch_size)
    lines = []
    if ray_workers:
        from defectdistill.prediction.cluster import Work, on_cluster

        work = Work()
        with on_cluster(model, assessor, options, ray_workers, ray_address, work) as score:
            outcome = run.predict(paths, model, assessor, output, options, score)
        lines = list(work.said())
    else:
        outcome = run.predict(paths, model, assessor, output, options)
    print("\n".join([*said(outcome, output, assessor.threshold), *lines]))
    return SOME if outcome.bad else ALL


def said(outcome: run.Outcome, output: Path, threshold: float | None) -> Iterator[str]:
    """Yield the lines that tell a person what came out and where to look."""
    found = outcome.found
    if outcome.gone_on_from:
        yield f"went on from an interrupted run, which had done {outcome.gone_on_from:,}"
    asked = (
        "all: too few validation photographs were right for a threshold"
        if threshold is None
        else f"confidence below {threshold:.3f}"
    )
    yield f"{found.images:,} photographs, {found.doubtful:,} of them for a person ({asked})"
    for name, count in sorted(found.counts.items()):
        yield f"  {name:<28} {count:>9,}   uncertain {found.uncertain_counts[name]:>9,}"
    if outcome.bad:
        yield f"{outcome.bad:,} could not be read, with the reasons in {shown(str(output / REJECTED))}"
    if outcome.passed_over:
        yield f"passed over: {run.kinds(outcome.passed_over)}"
    page = f", page {shown(str(output / PAGE))}" if (output / PAGE).exists() else ""
    yield f"tables in {shown(str(output))}{page}"
