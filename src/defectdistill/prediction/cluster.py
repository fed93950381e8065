"""Scores photographs in several processes, on one machine or many, by Ray Data: the same rows as in one process.

Each worker loads the model once and reads the photographs itself, so that they must be on a disk that every machine
sees under the same path. The model is sent along. Rows come back in the order of the photographs and are written in one
place, where an interrupted run is gone on from.
"""

import json
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from defectdistill import checkpoint
from defectdistill.assess import Assessor
from defectdistill.data.sample import Rejected
from defectdistill.predict import Predictor
from defectdistill.prediction.find import Found
from defectdistill.prediction.options import Options
from defectdistill.prediction.read import batches
from defectdistill.prediction.run import Score, Scored
from defectdistill.prediction.tables import records

if TYPE_CHECKING:
    import ray.data

Columns = dict[str, np.ndarray]

BLOCKS_EACH = 8  # a worker gets at least so many portions, so that a slow one does not keep the others waiting

STARTS = 3  # attempts to start a cluster here: a busy machine may take longer than Ray waits


class Worker:
    """A process of the cluster: columns of names and paths in, columns of rows out.

    `files` are those of a checkpoint folder, {name: bytes}, or Ray's reference to them.
    """

    def __init__(self, files: object, temperature: float, threshold: float | None, options: Options):
        self.options = options
        if not isinstance(files, dict):  # where they lie in the cluster's store
            import ray

            files = ray.get(files)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                Path(folder, name).write_bytes(content)
            self.assessor = Assessor(Predictor.load(folder, options.batch_size, temperature), threshold)

    def __call__(self, columns: Columns) -> Columns:
        """Return for each photograph its row as JSON, or the reason why there is none; who did it, and how long."""
        start, predictor = time.perf_counter(), self.assessor.predictor
        entries = [
            Rejected(str(name), str(reason)) if reason else Found(str(name), Path(str(path)))
            for name, path, reason in zip(columns["name"], columns["path"], columns["reason"], strict=True)
        ]
        rows, rejected = [], []
        for batch in batches(entries, predictor.preprocess, self.options.max_pixels, 1, self.options.batch_size):
            rows += records(batch.names, self.assessor(batch.images), predictor.classes)
            rejected += batch.rejected
        lines = [json.dumps(row) for row in rows] + [json.dumps([item.name, item.reason]) for item in rejected]
        seconds = (time.perf_counter() - start) / len(lines)
        worker = f"{os.uname().nodename} {os.getpid()}"
        return {"line": np.array(lines, object), "seconds": np.full(len(lines), seconds),
                "worker": np.array([worker] * len(lines), object)}  # fmt: skip


class Work:
    """What each worker did: photographs, and the seconds in which it was busy with them."""

    def __init__(self) -> None:
        self.images: Counter = Counter()
        self.seconds: Counter = Counter()

    def said(self) -> Iterator[str]:
        """Yield a line a worker."""
        for worker, images in sorted(self.images.items()):
            yield f"worker {worker}: {images:,} files, {images / self.seconds[worker]:.1f} a second"


@contextmanager
def on_cluster(
    model: Path, assessor: Assessor, options: Options, workers: int, address: str | None, work: Work
) -> Iterator[Score]:
    """Yield what scores on `workers` processes of the Ray cluster at `address`, of this machine alone if None.

    `work` is filled in. Raises ValueError where Ray is not installed or does not answer at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends nothing home; Ray reads both when it is imported
    if address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # as without it, but for a warning
    try:
        import ray.data
    except ImportError:
        raise ValueError(
            "Ray is not installed here: uv pip install -e '.[ray]' -c constraints.txt, or leave out --ray-workers"
        ) from None
    start_ray(address, workers)
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    files = {name: (model / name).read_bytes() for name in (checkpoint.MODEL, checkpoint.WEIGHTS)}
    # Through the store: as a plain argument the weights would travel with every message about the workers.
    arguments = (ray.put(files), assessor.predictor.temperature, assessor.threshold, options)
    try:
        yield lambda found: _scored(_dataset(found, workers, options), arguments, workers, work)
    finally:
        ray.shutdown()


def start_ray(address: str | None, workers: int) -> None:
    """Join the cluster at `address`, or start one here with a processor for each worker, which asks for a token."""
    import ray

    here = {} if address else {"num_cpus": workers, "include_dashboard": False}
    for left in reversed(range(1 if address else STARTS)):
        try:
            ray.init(address or "local", log_to_driver=False, logging_level=logging.WARNING, **here)
            return
        except Exception as error:  # Ray raises that very class where a node does not come up in its 30 seconds
            ray.shutdown()
            if not left:
                reason = str(error).partition("\n")[0]
                raise ValueError(f"no Ray cluster answers at {address or 'this machine'}: {reason}") from error


def _dataset(found: Iterable[Found | Rejected], workers: int, options: Options) -> "ray.data.Dataset | None":
    import ray.data

    rows = [
        {"name": entry.name, "path": "", "reason": entry.reason}
        if isinstance(entry, Rejected)
        else {"name": entry.name, "path": os.path.abspath(entry.path), "reason": ""}
        for entry in found
    ]
    if not rows:
        return None
    portion = max(1, min(4 * options.batch_size, len(rows) // (BLOCKS_EACH * workers)))
    return ray.data.from_items(rows, override_num_blocks=-(-len(rows) // portion))


def _scored(
    dataset: "ray.data.Dataset | None", arguments: Sequence[object], workers: int, work: Work
) -> Iterator[Scored]:
    import ray.data

    if dataset is None:
        return
    pool = ray.data.ActorPoolStrategy(size=workers)
    scored = dataset.map_batches(Worker, fn_constructor_args=arguments, batch_size=None, num_cpus=1, compute=pool)
    for columns in scored.iter_batches(batch_size=None, batch_format="numpy"):
        for worker, seconds in zip(columns["worker"], columns["seconds"], strict=True):
            work.images[str(worker)] += 1
            work.seconds[str(worker)] += float(seconds)
        entries = [json.loads(str(line)) for line in columns["line"]]
        rows = [entry for entry in entries if isinstance(entry, dict)]
        yield rows, [Rejected(*entry) for entry in entries if isinstance(entry, list)]
