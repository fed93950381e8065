"""How much of the machine's own matrix rate the trainings reach, and the teacher's training against its plain form.

    python benchmarks/efficiency.py

The plain form runs in a process of its own, as torch comes: in the same precision and memory format, its memory given
back and asked for again in every step. FLOP/s of one training step (forward, backward, optimiser) or one inference, by
torch's own count of what is executed, divided by the rate of a large matrix product in the same precision.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from measure import Worker, in_turn, machine, medians, ratio, seconds, serve, write
from plain_unet3plus import PlainUNet3Plus
from torch.utils.flop_counter import FlopCounterMode

from defectdistill.models.students import build_student
from defectdistill.models.unet3plus import UNet3Plus
from defectdistill.training.compute import Machine, choose_accelerator, has_fast_bf16, set_up

SIZE, STUDENT_BATCH, TEACHER_BATCH, SIDE = 224, 16, 2, 4096


def training(network: torch.nn.Module, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Return one training step of a network on random images, its outputs taken as logits."""
    network = network.to(device, memory_format=torch.channels_last).train()
    images = torch.randn(batch, 3, SIZE, SIZE, device=device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)

    def step() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = network(images).float()
        F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits)).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def inference(network: torch.nn.Module, batch: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Return one forward pass in evaluation mode."""
    network = network.to(device, memory_format=torch.channels_last).eval()
    images = torch.randn(batch, 3, SIZE, SIZE, device=device).to(memory_format=torch.channels_last)

    def look() -> None:
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            network(images)

    return look


PLAIN = {"teacher_training_plain": training, "teacher_inference_plain": inference}


def main() -> None:
    """Measure all in turn and write results/efficiency.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", choices=PLAIN, help="measure one plain side when asked (used by this script itself)")
    options = parser.parse_args()
    if options.serve:
        torch.set_num_threads(options.threads)
        accelerator = choose_accelerator("auto")
        dtype = torch.bfloat16 if has_fast_bf16(accelerator) else torch.float32
        step = PLAIN[options.serve](PlainUNet3Plus(), TEACHER_BATCH, Machine(accelerator, "").device, dtype)
        serve(lambda: lambda _: TEACHER_BATCH / seconds(step))
        return
    chosen = set_up(options.threads, "auto", "auto")
    device, dtype = chosen.device, torch.bfloat16 if chosen.precision == "bf16" else torch.float32
    matrix = torch.randn(SIDE, SIDE, device=device, dtype=dtype)
    work = {
        "student_training": (training(build_student("resnet18", 3), STUDENT_BATCH, device, dtype), STUDENT_BATCH),
        "teacher_training": (training(UNet3Plus(), TEACHER_BATCH, device, dtype), TEACHER_BATCH),
        "teacher_inference": (inference(UNet3Plus(), TEACHER_BATCH, device, dtype), TEACHER_BATCH),
        "student_inference": (inference(build_student("resnet18", 3), STUDENT_BATCH, device, dtype), STUDENT_BATCH),
    }
    flops = {}
    for name, (step, _) in work.items():
        with FlopCounterMode(display=False) as counter:
            step()
        flops[name] = counter.get_total_flops()
    sides = {"matrix_product": lambda: 2 * SIDE**3 / seconds(lambda: matrix @ matrix)}
    sides |= {name: lambda step=step, batch=batch: batch / seconds(step) for name, (step, batch) in work.items()}
    workers = {name: Worker(Path(__file__), "--threads", str(options.threads), "--serve", name) for name in PLAIN}
    measured = in_turn(sides | {name: worker.measure for name, worker in workers.items()}, options.rounds)
    for worker in workers.values():
        worker.end()
    middle = medians(measured)
    peak = middle.pop("matrix_product")
    result = {
        "machine": machine(options.threads) | {"precision": chosen.precision},
        "matrix_product_gflops": peak / 1e9,
        "images_per_second": middle,
        "gflop_per_image": {name: flops[name] / work[name][1] / 1e9 for name in work},
        "share_of_matrix_product": {
            name: ratio(measured, name, "matrix_product") * flops[name] / work[name][1] for name in work
        },
        "ratios": {
            f"{name}/plain": ratio(measured, name, f"{name}_plain")
            for name in ("teacher_training", "teacher_inference")
        },
        "all_rounds": measured,
    }
    write("efficiency", result)


if __name__ == "__main__":
    main()
