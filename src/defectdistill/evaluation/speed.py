"""How many images a second networks take, one at a time: all of them in one run, in turn, so that a ratio holds."""

import time
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

WARM_UP = 3  # rounds that are not counted


@torch.inference_mode()
def frames_per_second(
    networks: Mapping[str, nn.Module], side: int, device: torch.device, rounds: int = 40
) -> dict[str, float]:
    """Return images a second of each network for one image of `side` × `side` pixels, from the median of `rounds`.

    In every round each network sees the image once: what slows the machine down for a while slows all of them. From
    the normalised image to the logits, in fp32.
    """
    image = torch.zeros(1, 3, side, side, device=device).to(memory_format=torch.channels_last)
    for network in networks.values():
        network.eval().to(device, memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for _ in tqdm(range(WARM_UP + rounds), desc="frames per second", unit=" rounds", disable=None):
        for name, network in networks.items():
            start = time.perf_counter()
            network(image)
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - start)
    return {name: 1 / float(np.median(taken[WARM_UP:])) for name, taken in seconds.items()}
