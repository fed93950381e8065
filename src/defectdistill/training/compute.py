"""What the machine can do: the number of threads, and the precision that it has in hardware."""

import contextlib
import ctypes
import os
from dataclasses import dataclass

import torch

from defectdistill.processes import is_main_process

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h
BF16_CPU_FEATURES = ("amx_bf16", "avx512_bf16")


@dataclass(frozen=True)
class Machine:
    """What was chosen: accelerator 'cpu', 'gpu' or 'mps', precision 'fp32' or 'bf16', processes a node, nodes."""

    accelerator: str
    precision: str
    devices: int = 1
    nodes: int = 1

    @property
    def on_gpu(self) -> bool:
        """Whether data may be kept on a CUDA device."""
        return self.accelerator == "gpu"

    @property
    def processes(self) -> int:
        """How many processes train together."""
        return self.devices * self.nodes

    @property
    def device(self) -> torch.device:
        """The torch device of the accelerator."""
        return torch.device("cuda" if self.accelerator == "gpu" else self.accelerator)


def has_fast_bf16(accelerator: str) -> bool:
    """Whether bf16 arithmetic runs in hardware on 'cpu' or 'gpu' (on a CPU without it, it is slower than fp32)."""
    if accelerator == "gpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if accelerator == "cpu":
        return any(torch.cpu.get_capabilities().get(feature) for feature in BF16_CPU_FEATURES)
    return False


def choose_accelerator(accelerator: str) -> str:
    """Resolve 'auto' to 'gpu' (CUDA), 'mps' (Apple) or 'cpu'; raises ValueError for one that is not there."""
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if accelerator == "auto":
        return next(name for name, present in there.items() if present)
    if not there[accelerator]:
        raise ValueError(f"compute.accelerator = {accelerator!r}: this machine has none that torch can use; say auto")
    return accelerator


def resolved(accelerator: str, precision: str) -> tuple[str, str]:
    """Return what accelerator and precision come to here, 'auto' resolved; raises as `choose_accelerator`."""
    chosen = choose_accelerator(accelerator)
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(chosen) else "fp32"
    return chosen, precision


def keep_memory() -> None:
    """Let glibc keep what it frees instead of giving it back to the system and asking again in every step.

    A training step allocates the same dozens of megabytes each time; fetching zeroed pages anew took about 8 % of it.
    Elsewhere than on glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**28)


def set_up(threads: int, accelerator: str, precision: str, devices: int = 1, nodes: int = 1) -> Machine:
    """Pin the CPU threads of this process, resolve 'auto' for accelerator and precision, print and return the choice.

    The number of threads is pinned because another one sums in another order and gives other bytes. Under torchrun
    its numbers of processes and nodes hold instead of `devices` and `nodes`.
    """
    keep_memory()
    torch.set_num_threads(threads)
    chosen, precision = resolved(accelerator, precision)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if chosen == "gpu" and devices > torch.cuda.device_count():
        raise ValueError(f"compute.devices = {devices}: this machine has {torch.cuda.device_count()} GPUs")
    machine = Machine(chosen, precision, devices, nodes)
    if is_main_process():
        shared = f", {machine.processes} processes" if machine.processes > 1 else ""
        print(f"computing in {precision} on {chosen}, {threads} CPU threads{shared}")
    return machine
