"""`defectdistill predict` in one process and on a Ray cluster of this machine: equal rows, and the rate of each worker.

    uv pip install -e '.[ray]' -c constraints.txt
    python benchmarks/batch_scoring.py

Photographs of 256 px and an untrained ResNet-18 at 128 px. Workers have one thread each.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine, write
from PIL import Image

from defectdistill import checkpoint
from defectdistill.models.students import build_student, classifier_config
from defectdistill.prediction import run
from defectdistill.prediction.cluster import Work, on_cluster
from defectdistill.prediction.tables import read_lines
from defectdistill.training.compute import set_up

MODEL, CALIBRATION = Path("models/student"), Path("metrics/calibration.json")


def prepare(count: int) -> None:
    """Write photographs, model and calibration into this folder."""
    generator = np.random.default_rng(0)
    Path("in").mkdir()
    for number in range(count):
        small = Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        small.resize((256, 256)).save(f"in/{number:06d}.jpg")
    config = classifier_config("resnet18", ["a", "b", "c"], 128, "squash")
    checkpoint.save(MODEL, build_student("resnet18", 3).state_dict(), config)
    CALIBRATION.parent.mkdir()
    CALIBRATION.write_text(json.dumps({"student": {"temperature": 1.0, "threshold": 0.5}}))


def largest_difference() -> float:
    """Return the largest difference of any probability between the two runs; raises ValueError for other rows."""
    largest = 0.0
    for one, many in zip(read_lines(Path("one")), read_lines(Path("many")), strict=True):
        if (one["path"], one["class"]) != (many["path"], many["class"]):
            raise ValueError(f"{one['path']}: {one['class']} in one process, {many['path']} {many['class']} on workers")
        largest = max(largest, *(abs(one["probabilities"][key] - many["probabilities"][key]) for key in "abc"))
    return largest


def measure(count: int, workers: int) -> dict[str, object]:
    """Return the seconds of both runs and each worker's rate."""
    prepare(count)
    options = run.Options(sheet_limit=0, workers=1)
    assessor = run.load_assessor(MODEL, CALIBRATION, options.batch_size)
    start = time.perf_counter()
    run.predict([Path("in")], MODEL, assessor, Path("one"), options)
    one_s, start, work = time.perf_counter() - start, time.perf_counter(), Work()
    with on_cluster(MODEL, assessor, options, workers, None, work) as score:
        run.predict([Path("in")], MODEL, assessor, Path("many"), options, score)
    many_s = time.perf_counter() - start
    print("\n".join(work.said()))
    rates = sorted(work.images[name] / work.seconds[name] for name in work.images)
    return {
        "photographs": count,
        "workers": workers,
        "one_process_s": round(one_s, 1),
        "cluster_s_with_its_start": round(many_s, 1),
        "images_per_second_of_each_worker": [round(rate, 1) for rate in rates],
        "images_of_each_worker": sorted(work.images.values()),
        "largest_difference": largest_difference(),
    }


def main() -> None:
    """Measure once and write results/batch_scoring.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    set_up(1, "cpu", "fp32")
    os.environ["RAY_AUTH_MODE"] = "token"  # read when Ray is imported
    import ray.data

    ray.data.DataContext.get_current().wait_for_min_actors_s = 600  # or the first worker may do much of it alone
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        result = measure(options.photographs, options.workers)
        os.chdir(here)
    write("batch_scoring", {"machine": machine(1), **result})


if __name__ == "__main__":
    main()
