"""Milliseconds of a student's training step, its small maps convolved by `conv2d` and as matrix products, in turn.

    python benchmarks/small_maps.py

A ResNet-18 on random images of several sizes, batch 16, with AdamW: forward, backward and optimiser.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measure import in_turn, machine, medians, ratio, write

from defectdistill.models.small_map_convolution import small_maps_as_products
from defectdistill.models.students import build_student
from defectdistill.training.compute import set_up

BATCH, SIZES = 16, (96, 128, 224)
WARM = 3


def steps_of(size: int, bf16: bool) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return two functions that train a step on images of `size` pixels a side, without and with products: ms."""
    torch.manual_seed(0)
    network = build_student("resnet18", 3).train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    images = torch.randn(BATCH, 3, size, size).to(memory_format=torch.channels_last)
    labels = torch.arange(BATCH) % 3

    def step() -> float:
        start = time.perf_counter()
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = network(images)
        F.cross_entropy(logits.float(), labels).backward()
        optimiser.step()
        return 1000 * (time.perf_counter() - start)

    def step_with_products() -> float:
        with small_maps_as_products(network):
            return step()

    return step, step_with_products


def main() -> None:
    """Measure both sides at every size and write results/small_maps.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    chosen = set_up(options.threads, "cpu", options.precision)
    result = {"machine": machine(options.threads) | {"precision": chosen.precision}, "unit": "ms a step, median"}
    for size in SIZES:
        plain, products = steps_of(size, chosen.precision == "bf16")
        for _ in range(WARM):
            plain()
            products()
        measured = in_turn({"conv2d": plain, "products": products}, options.rounds)
        result[f"{size} pixels"] = medians(measured) | {"ratio": ratio(measured, "conv2d", "products")}
    write("small_maps", result)


if __name__ == "__main__":
    main()
