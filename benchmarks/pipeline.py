"""Seconds of every stage of the default `dvc repro`, of a repro with nothing to do, and of one changed `distill.beta`.

    python benchmarks/pipeline.py

Runs in a clone of the last commit in a temporary folder, with the environment that is active.
"""

import argparse
import re
import subprocess
import tempfile
import time
from pathlib import Path

from measure import machine, write

PROJECT = Path(__file__).resolve().parents[1]


def timed(command: str, folder: Path) -> tuple[float, dict[str, float]]:
    """Run a dvc command; return its seconds, and those of each stage, from its start to the next one's."""
    start, marks = time.perf_counter(), []
    process = subprocess.Popen(
        command, shell=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in process.stdout:
        if found := re.match(r"Running stage '([^']+)'", line):
            marks.append((found[1], time.perf_counter()))
            print(found[1], flush=True)
    if process.wait():
        raise RuntimeError(f"{command} ended with {process.returncode} in {folder}")
    end = time.perf_counter()
    ends = [mark for _, mark in marks[1:]] + [end]
    return end - start, {stage: stop - begin for (stage, begin), stop in zip(marks, ends, strict=False)}


def main() -> None:
    """Time the three and write results/pipeline.json."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
        whole, stages = timed("dvc repro", folder)
        nothing, executed = timed("dvc repro", folder)
        if executed:
            raise RuntimeError(f"the second dvc repro executed {list(executed)}")
        changed, changed_stages = timed("dvc exp run -S distill.beta=0.3", folder)
    result = {
        "machine": machine(2),
        "unit": "seconds",
        "repro": whole,
        "repro_stages": stages,
        "repro_with_nothing_to_do": nothing,
        "changed_beta": changed,
        "changed_beta_stages": changed_stages,
    }
    write("pipeline", result)


if __name__ == "__main__":
    main()
