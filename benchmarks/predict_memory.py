"""Peak memory of `defectdistill predict` for 1,000, 10,000 and 100,000 photographs, each in its own process.

    python benchmarks/predict_memory.py

Small JPEGs of 64 px and an untrained ShuffleNet: what matters is how it grows. The peak that Linux tells of a process
is at least that of the one that started it, so this one imports no torch until all are measured. 100,000 photographs
take some hundred megabytes of the temporary folder.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import machine, write
from PIL import Image

SIDE, IN_FOLDER = 64, 5000


def photographs(folder: Path, count: int) -> None:
    """Write random JPEGs, so many in each subfolder."""
    generator = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // IN_FOLDER:03d}" / f"photograph_{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def write_model(folder: Path) -> None:
    """Write an untrained student and its calibration; to be called in a process of its own, for it imports torch."""
    from defectdistill import checkpoint
    from defectdistill.models.students import build_student, classifier_config

    classes = ["a", "b", "c"]
    network = build_student("shufflenet_v2_x0_5", len(classes))
    config = classifier_config("shufflenet_v2_x0_5", classes, SIDE, "squash")
    checkpoint.save(folder / "models/student", network.state_dict(), config)
    (folder / "metrics").mkdir()
    (folder / "metrics/calibration.json").write_text(json.dumps({"student": {"temperature": 1.0, "threshold": 0.5}}))


def measure(root: Path, count: int, threads: int) -> dict[str, float]:
    """Return the peak of resident memory of one run, imports and page included."""
    photographs(root / f"in{count}", count)
    command = [str(Path(sys.executable).parent / "defectdistill"), "predict", f"in{count}", "--output", f"out{count}"]
    process = subprocess.Popen(command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"predict ended with {process.returncode}")
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if used.ru_maxrss <= floor:
        raise RuntimeError(
            f"{used.ru_maxrss} KB is no more than this process has had ({floor} KB): nothing is measured"
        )
    return {"photographs": count, "peak_mb": round(used.ru_maxrss / 1024, 1)}


def main() -> None:
    """Measure each count once and write results/predict_memory.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--photographs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        writer = multiprocessing.get_context("spawn").Process(target=write_model, args=(Path(name),))
        writer.start()
        writer.join()
        if writer.exitcode:
            raise RuntimeError(f"the model was not written: its process ended with {writer.exitcode}")
        curve = [measure(Path(name), count, options.threads) for count in options.photographs]
    for row in curve:
        print(row)
    write("predict_memory", {"machine": machine(options.threads), "curve": curve})


if __name__ == "__main__":
    main()
