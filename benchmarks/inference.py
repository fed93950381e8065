"""How fast the student answers in each of its forms, beside the teacher: ResNet-18 and U-Net3+ (width 64) at 224 px.

    python benchmarks/inference.py

Batches of 1 and of 32 photographs that have the right size already, uint8 in, probabilities out. Each side runs in a
process of its own, all in turn; the teacher answers 16 at a time, as `evaluate` asks it. Weights are random: they do
not change what is computed. Latency by call, peak memory of the process with all that it had to import.
"""

import argparse
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import Worker, machine, serve, write

from defectdistill.export.runtimes import in_onnxruntime, in_openvino

CLASSES, BATCHES = ["a", "b", "c"], (1, 32)
SECONDS = 1.0  # of a side in a round, at least; a call that was begun is ended
ROUNDS = {1: 5, 32: 2}
ONCE = "teacher_torch"  # 32 images take it half a minute
STUDENT = ("torch", "torch_bf16", "onnx_fp32", "onnx_int8", "openvino_fp32", "openvino_bf16", "openvino_int8")
SIDES = (ONCE, "teacher_torch_bf16", *STUDENT)

Answer = Callable[[np.ndarray], object]


def in_torch(side: str, pixels: int, threads: int) -> Answer:
    """Return student or teacher as `predict` and `evaluate` run them (fp32, channels_last), or that in bf16."""
    import torch

    from defectdistill.models.segmenter import Segmenter
    from defectdistill.models.students import build_student
    from defectdistill.models.unet3plus import UNet3Plus
    from defectdistill.predict import Predictor

    torch.set_num_threads(threads)
    if side.startswith("teacher"):
        ask = Segmenter(UNet3Plus(out_channels=len(CLASSES)), CLASSES)
    else:
        ask = Predictor(build_student("resnet18", len(CLASSES)), CLASSES, pixels, "squash")

    def answer(images: np.ndarray) -> object:
        with torch.autocast("cpu", torch.bfloat16, enabled=side.endswith("bf16")):
            return ask(images)

    return answer


def in_file(side: str, folder: Path, threads: int) -> Answer:
    """Return an exported file in its runtime; torch is not imported."""
    runtime, _, form = side.partition("_")
    file = folder / ("int8.onnx" if form == "int8" else "fp32.onnx")
    if runtime == "onnx":
        return in_onnxruntime(file, threads)
    return in_openvino(file, threads, "bf16" if form == "bf16" else "f32")


def side(options: argparse.Namespace) -> Answer:
    """Return the side that `--serve` names."""
    if "torch" in options.serve:
        return in_torch(options.serve, options.pixels, options.threads)
    return in_file(options.serve, options.folder, options.threads)


def timed(answer: Answer, pixels: int) -> Callable[[str], dict[str, Any]]:
    """Return what measures one round at a batch size: the seconds of each call, and the peak memory so far."""
    generator = np.random.default_rng(0)
    images = {batch: generator.integers(0, 256, (batch, pixels, pixels, 3), dtype=np.uint8) for batch in BATCHES}
    answer(images[1])

    def measure(request: str) -> dict[str, Any]:
        calls, start = [], time.perf_counter()
        while not calls or time.perf_counter() - start < SECONDS:
            begin = time.perf_counter()
            answer(images[int(request)])
            calls.append(time.perf_counter() - begin)
        return {"calls": calls, "peak_mb": peak_mb()}

    return measure


def peak_mb() -> float:
    """Return the peak resident memory of this process so far, in 10⁶ bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the parent had when it forked into `ru_maxrss`
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024 / 1e6
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def export(folder: Path, pixels: int) -> None:
    """Write the student's two files."""
    import torch

    from defectdistill.export.deployed import Deployed
    from defectdistill.export.onnx_file import to_bytes, to_onnx
    from defectdistill.export.quantise import quantise
    from defectdistill.models.students import build_student

    torch.manual_seed(0)
    model = to_onnx(Deployed(build_student("resnet18", len(CLASSES)), pixels, "squash", 1.0), "resnet18", {})
    images = np.random.default_rng(0).integers(0, 256, (16, pixels, pixels, 3), dtype=np.uint8)
    (folder / "fp32.onnx").write_bytes(to_bytes(model))
    (folder / "int8.onnx").write_bytes(to_bytes(quantise(model, images)))


def figures(calls: list[float], batch: int, peak_mb: float) -> dict[str, float]:
    """Return what is said of a side at a batch size; of fewer than a hundred calls p99 is the slowest."""
    return {
        "p50_ms": 1e3 * statistics.median(calls),
        "p99_ms": 1e3 * float(np.percentile(calls, 99, method="higher")),
        "images_per_second": batch / statistics.median(calls),
        "peak_mb": peak_mb,
        "calls": len(calls),
    }


def ratios(found: dict[str, dict[str, dict[str, float]]]) -> tuple[dict[str, str], dict[str, float]]:
    """Return the student's fastest form at each batch size, and how many times as fast it is as others."""
    best, times = {}, {}
    for batch in map(str, BATCHES):
        middle = {side: found[side][batch]["p50_ms"] for side in SIDES}
        best[batch] = min(STUDENT, key=middle.get)
        others = {"torch_eager": "torch", "teacher": ONCE, "teacher_bf16": "teacher_torch_bf16"}
        times |= {f"best/{name}_batch{batch}": middle[side] / middle[best[batch]] for name, side in others.items()}
    return best, times


def measure_all(folder: Path, pixels: int, threads: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measure every side at every batch size, in turn, small batches first: peak memory only grows."""
    arguments = ("--folder", str(folder), "--pixels", str(pixels), "--threads", str(threads))
    workers = {side: Worker(Path(__file__), *arguments, "--serve", side) for side in SIDES}
    found: dict[str, dict[str, dict[str, float]]] = {side: {} for side in SIDES}
    for batch, rounds in ROUNDS.items():
        calls, peak = {side: [] for side in SIDES}, {}
        for number in range(rounds):
            for side, worker in workers.items():
                if number and batch > 1 and side == ONCE:
                    continue
                answer = worker.measure(str(batch))
                calls[side] += answer["calls"]
                peak[side] = answer["peak_mb"]
                print(f"batch {batch}, round {number + 1}: {side} {1e3 * min(answer['calls']):.1f} ms", flush=True)
        for side in SIDES:
            found[side][str(batch)] = figures(calls[side], batch, peak[side])
    for worker in workers.values():
        worker.end()
    return found


def instructions() -> dict[str, bool]:
    """Return which instructions for eight-bit products the processor has."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return {"avx512_vnni": "avx512_vnni" in flags, "avx_vnni": "avx_vnni" in flags, "amx_int8": "amx_int8" in flags}


def versions() -> dict[str, str]:
    """Return the versions of the runtimes."""
    from importlib.metadata import version

    return {name: version(name) for name in ("onnxruntime", "openvino")}


def main() -> None:
    """Measure all sides and write results/inference.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pixels", type=int, default=224, help="a side of the photographs")
    parser.add_argument("--folder", type=Path, help="where the files are (used by this script itself)")
    parser.add_argument("--serve", choices=SIDES, help="measure one side when asked (used by this script itself)")
    options = parser.parse_args()
    if options.serve:
        serve(lambda: timed(side(options), options.pixels))
        return
    with tempfile.TemporaryDirectory() as name:
        export(Path(name), options.pixels)
        found = measure_all(Path(name), options.pixels, options.threads)
    best, times = ratios(found)
    result = {
        "machine": machine(options.threads) | instructions() | versions(),
        "pixels": options.pixels,
        "unit": "milliseconds by call, images/s at the median, 10⁶ bytes",
        "sides": found,
        "best": best,
        "ratios": times,
    }
    write("inference", result)


if __name__ == "__main__":
    main()
