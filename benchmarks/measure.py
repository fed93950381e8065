"""What the benchmarks share: all sides measured in turn in one run, medians, JSON with the machine's description."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine(threads: int) -> dict[str, str | int | bool]:
    """Describe the machine: what a figure needs beside it to mean something."""
    import torch  # in functions: the memory of a side without torch is measured too

    cpuinfo = Path("/proc/cpuinfo")
    models = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return {
        "processor": models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 0,
        "threads": threads,
        "bf16": bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16")),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def in_turn(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure every side `rounds` times, in turn, so that a slow minute of the machine hits all of them.

    Every second round goes backwards: a machine that slows down favours whatever comes first.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            measured[name].append(sides[name]())
            print(f"round {number + 1}: {name} {measured[name][-1]:.3g}", flush=True)
    return measured


def medians(measured: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of each side."""
    return {name: statistics.median(values) for name, values in measured.items()}


def ratio(measured: Mapping[str, list[float]], side: str, other: str) -> float:
    """Return by how many times a side's figures exceed another's: the median of the rounds' ratios, above 0.

    A machine's rate may change by times within minutes; within a round it changes less than between the rounds whose
    medians would be divided.
    """
    return statistics.median(one / two for one, two in zip(measured[side], measured[other], strict=True))


def seconds(work: Callable[[], object], least: float = 0.5) -> float:
    """Return the seconds that one call takes, repeated for at least `least` seconds after one call to warm up."""
    import torch

    work()
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least or not calls:
        work()
        calls += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / calls


class Worker:
    """A side in a process of its own, a Python script that calls `serve`: ready when this returns."""

    def __init__(self, script: Path, *arguments: str):
        command = [sys.executable, str(script), *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self) -> Any:
        """Return what the process prints next, a line of JSON."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended before it answered")
        return json.loads(line)

    def measure(self, request: str = "") -> Any:
        """Ask for one measurement, of what `request` says."""
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self) -> None:
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait()


def serve(prepare: Callable[[], Callable[[str], Any]]) -> None:
    """Prepare, print 0, then answer each line on standard input with one measurement of what it asks for."""
    answers, sys.stdout = sys.stdout, sys.stderr
    measure = prepare()
    print(0, file=answers, flush=True)
    for request in sys.stdin:
        print(json.dumps(measure(request.strip())), file=answers, flush=True)


def write(name: str, result: Mapping) -> None:
    """Print a result and keep it in `results/NAME.json`, on a GPU in `results/NAME.GPU.json`."""
    gpu = result["machine"]["gpu"]
    path = RESULTS / (f"{name}.json" if gpu == "none" else f"{name}.{gpu.replace(' ', '_')}.json")
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2)
    path.write_text(text + "\n")
    print(text)
