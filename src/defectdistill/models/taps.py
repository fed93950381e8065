"""Named feature levels of a network: which module gives the features at a stride, with how many channels."""

from dataclasses import dataclass

import torch
from torch import nn

SAME_SIZE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)  # of one size whatever the image: no level of a stride
PROBE_SIZE = 224  # divisible by every stride up to 32, so that H·stride equals the input's side exactly


@dataclass(frozen=True)
class Tap:
    """One feature level: the module whose output it is, its channels, and its stride (input side / map side)."""

    module: str
    channels: int
    stride: int


def find_taps(network: nn.Module) -> dict[int, Tap]:
    """Return the last stage of each stride, as {stride: Tap}, shallow first.

    A probe of zeros (1, 3, 224, 224) runs through the network in evaluation mode and every module whose output is a
    square (1, C, H, H) map is noted. Of several with the same stride the least nested count (a stage, not the
    expansion inside the next stage's first block), and of these the last: for ResNet-18 `layer1` to `layer4` at
    strides 4 to 32. Buffers and modes stay as they were. A network without such maps (a vision transformer) misses
    strides.
    """
    found: dict[int, Tap] = {}

    def is_outer(name: str, stride: int) -> bool:
        return stride not in found or name.count(".") <= found[stride].module.count(".")

    def note(name: str):
        def hook(_module, _inputs, output):
            if not isinstance(output, torch.Tensor) or output.ndim != 4 or output.shape[2] != output.shape[3]:
                return
            side = output.shape[2]
            if side > 1 and PROBE_SIZE % side == 0 and is_outer(name, PROBE_SIZE // side):
                found[PROBE_SIZE // side] = Tap(name, output.shape[1], PROBE_SIZE // side)

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in network.named_modules()
        if name and not isinstance(module, SAME_SIZE)
    ]
    modes = {module: module.training for module in network.modules()}
    parameter = next(network.parameters())
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE, device=parameter.device, dtype=parameter.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return dict(sorted(found.items()))


def select_taps(taps: dict[int, Tap], strides: list[int], owner: str) -> dict[int, Tap]:
    """Return the taps of the given strides; raises ValueError naming the strides that `owner` does not have."""
    missing = [stride for stride in strides if stride not in taps]
    if missing:
        known = ", ".join(map(str, taps)) or "none"
        raise ValueError(
            f"{owner} has no feature level of stride {missing}: it has {known}. "
            "Choose distill.levels, distill.hint_level and freeze.levels among those that teacher and student share."
        )
    return {stride: taps[stride] for stride in strides}
