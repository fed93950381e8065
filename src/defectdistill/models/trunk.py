"""The part of a network up to one of its levels: what a hint trains, and what stays when it is held."""

import torch
from torch import nn

from defectdistill.models.taps import PROBE_SIZE, Tap


def trunk_of(network: nn.Module, tap: Tap) -> list[str]:
    """Return the names of the modules that run until the module of `tap` has its output.

    Those without children, and those with parameters of their own beside children (ConvNeXt's blocks).
    Found by a probe in evaluation mode; buffers and modes stay as they were.
    """
    ran: list[str] = []
    is_done = False

    def note(name: str):
        def hook(_module, _inputs):
            if not is_done and name not in ran:
                ran.append(name)

        return hook

    def done(_module, _inputs, _output) -> None:
        nonlocal is_done
        is_done = True

    noted = [(name, module) for name, module in network.named_modules() if _is_leaf(module) or _has_own(module)]
    handles = [module.register_forward_pre_hook(note(name)) for name, module in noted]
    handles.append(network.get_submodule(tap.module).register_forward_hook(done))
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE, device=next(network.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return ran


def tensors_of(network: nn.Module, modules: list[str]) -> set[str]:
    """Return the names of these modules' own parameters and buffers, as in the network's `state_dict`."""
    return {name for name in network.state_dict() if name.rpartition(".")[0] in modules}


def _is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


def _has_own(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None
