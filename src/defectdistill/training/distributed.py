"""Data-parallel training in several processes: each takes its share of every global batch, none computes alone.

With the same global batch, N processes give the losses of one, within the tolerance of floating point: shares are
weighted by their size, and batch norm sees the whole batch.
"""

from collections.abc import Mapping

import torch
import torch.distributed.nn.functional as collective
from lightning.pytorch.plugins import LayerSync, TorchSyncBatchNorm
from torch import distributed, nn

from defectdistill.data.batches import NO_LABEL
from defectdistill.data.samplers import rank_and_processes


def batch_weight(labels: torch.Tensor, labelled: bool = False) -> torch.Tensor | float:
    """Return what a mean over this share counts for in the mean over the global batch: share · processes / batch.

    `labels` (B,) of the share; with `labelled` the images without a label do not count.
    """
    processes = rank_and_processes()[1]
    if processes == 1:
        return 1.0
    share = (labels != NO_LABEL).sum().float() if labelled else torch.tensor(float(len(labels)), device=labels.device)
    total = share.clone()
    distributed.all_reduce(total)
    return share * processes / total.clamp_min(1.0)


def summed(values: torch.Tensor) -> torch.Tensor:
    """Return the sum over all processes, through which gradients flow; every process must ask for it."""
    return values if rank_and_processes()[1] == 1 else collective.all_reduce(values)


class OverProcesses:
    """Mixed into a batch norm, before it: over the global batch on processors, where torch has none; inside in fp32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, …) → the same: by the statistics of all processes while training, the running ones in evaluation."""
        if not self.training or rank_and_processes()[1] == 1:
            return super().forward(x)
        axes, shape = (0, *range(2, x.ndim)), (1, -1, *(1 for _ in x.shape[2:]))
        values = x.float()
        count = torch.tensor(float(values.numel() // values.shape[1]))
        distributed.all_reduce(count)
        mean = collective.all_reduce(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = collective.all_reduce(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


class GlobalBatchNorm1d(OverProcesses, nn.BatchNorm1d):
    """Of vectors (N, C), of which a process may have one alone."""


class GlobalBatchNorm2d(OverProcesses, nn.BatchNorm2d):
    """Of maps (N, C, H, W)."""


GLOBAL = {nn.BatchNorm1d: GlobalBatchNorm1d, nn.BatchNorm2d: GlobalBatchNorm2d}


class GlobalBatchNormSync(LayerSync):
    """Turn every batch norm of a model into one over all processes for a data-parallel training, and back."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Change the classes in place: parameters, buffers and names stay as they are."""
        return change_classes(model, GLOBAL)

    def revert(self, model: nn.Module) -> nn.Module:
        """Change them back."""
        return change_classes(model, {after: before for before, after in GLOBAL.items()})


def change_classes(model: nn.Module, classes: Mapping[type[nn.Module], type[nn.Module]]) -> nn.Module:
    """Give every module whose class is exactly a key of `classes` its value, which has the same attributes."""
    for module in model.modules():
        if type(module) in classes:
            module.__class__ = classes[type(module)]
    return model


def layer_sync(accelerator: str) -> LayerSync:
    """Return how batch norms see the global batch: torch's own way on GPUs, ours on processors."""
    return GlobalBatchNormSync() if accelerator == "cpu" else TorchSyncBatchNorm()
