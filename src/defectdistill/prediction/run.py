"""Predicts folders of photographs: from paths to tables and a page, in memory that does not grow with their number."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from defectdistill.assess import Assessor
from defectdistill.checkpoint import content_hash
from defectdistill.data.sample import Rejected
from defectdistill.data.tables import write_json
from defectdistill.evaluation.gathered import MODELS
from defectdistill.prediction.find import MASKS, Found, check_paths, find
from defectdistill.prediction.options import Options
from defectdistill.prediction.output import PAGE, SUMMARY, job, unfinished
from defectdistill.prediction.read import batches
from defectdistill.prediction.sheet import write_page
from defectdistill.prediction.survey import Survey, survey
from defectdistill.prediction.tables import Done, Record, Tables, read_lines, read_rejected, records

Scored = tuple[list[Record], list[Rejected]]
Score = Callable[[Iterable[Found | Rejected]], Iterator[Scored]]


@dataclass(frozen=True)
class Outcome:
    """What was found: counts and examples, how many files were bad, other kinds of file {ending: number}, and of how
    many photographs an interrupted run had done the work."""

    found: Survey
    bad: int
    passed_over: Counter
    gone_on_from: int


def load_assessor(model: Path, calibration: Path, batch_size: int) -> Assessor:
    """Load a checkpoint folder with its temperature and threshold: those of the baseline for a folder of that name."""
    return Assessor.load(model, calibration, model.name if model.name in MODELS else MODELS[0], batch_size)


def local_score(assessor: Assessor, options: Options) -> Score:
    """Return what scores photographs in this process: batches that threads have decoded, one after the other."""
    predictor = assessor.predictor

    def score(found: Iterable[Found | Rejected]) -> Iterator[Scored]:
        for batch in batches(found, predictor.preprocess, options.max_pixels, options.workers, options.batch_size):
            yield records(batch.names, assessor(batch.images), predictor.classes), batch.rejected

    return score


def predict(
    paths: Sequence[Path], model: Path, assessor: Assessor, output: Path, options: Options, score: Score | None = None
) -> Outcome:
    """Write the tables, `summary.json` and the page of the photographs in `paths` into the folder `output`.

    `assessor` is that of the checkpoint folder `model`. `score` turns what was found into rows, by default in this
    process; `cluster.py` has another. Raises ValueError where there is nothing to predict or the output is not ours.
    """
    check_paths(paths)
    passed_over: Counter = Counter()
    total = sum(1 for _ in find(paths, [output], passed_over))
    if not total:
        listed = f"; passed over: {kinds(passed_over)}" if passed_over else ""
        raise ValueError(f"there is no image in {', '.join(map(str, paths[:5]))}{listed}: nothing was predicted")
    settings = {
        "model": content_hash(model),
        "temperature": assessor.predictor.temperature,
        "threshold": assessor.threshold,
        "max_pixels": options.max_pixels,
    }
    with unfinished(output, job(paths, **settings), options.restart) as folder:
        tables = Tables(folder, assessor.predictor.classes)
        try:
            done = Done(folder)
            waiting = (entry for entry in find(paths, [output]) if entry.name not in done)
            _write(tables, (score or local_score(assessor, options))(waiting), total, len(done))
        finally:
            tables.close()
        found = survey(read_lines(folder), max(1, options.sheet_limit))
        bad = sum(1 for _ in read_rejected(folder))
        outcome = Outcome(found, bad, passed_over, len(done))
        if options.sheet_limit:
            write_page(folder / PAGE, assessor, options.max_pixels, found, bad, read_rejected(folder))
        counts = {"images": found.images, "uncertain": found.doubtful, "bad": bad, "counts": dict(found.counts)}
        write_json(folder / SUMMARY, settings | counts)
    return outcome


def _write(tables: Tables, scored: Iterator[Scored], total: int, done: int) -> None:
    with tqdm(total=total, initial=min(done, total), desc="predict", unit=" images", disable=None) as bar:
        bad = 0
        for rows, rejected in scored:
            tables.write(rows, rejected)
            bad += len(rejected)
            bar.set_postfix(bad=bad, refresh=False)
            bar.update(len(rows) + len(rejected))


def kinds(passed_over: Counter) -> str:
    """Put the files that were passed over in words."""
    others = Counter({kind: count for kind, count in passed_over.items() if kind != MASKS})
    named = ", ".join(f"{kind or 'no ending'} {count:,}" for kind, count in others.most_common(5))
    said = [f"{others.total():,} files not named like images ({named})"] if others else []
    return " and ".join(said + [f"{passed_over[MASKS]:,} masks"] * (MASKS in passed_over))
