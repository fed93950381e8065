"""Data-parallel training in several processes: each takes its share of every global batch, none computes alone.

With the same global batch, N processes give the losses of one, within the tolerance of floating point: shares are
weighted by their size, and batch norm sees the whole batch.
"""

import torch
import torch.distributed.nn.functional as collective
from lightning.pytorch.plugins import LayerSync, TorchSyncBatchNorm
from torch import distributed, nn

from defectdistill.data.batches import NO_LABEL
from defectdistill.data.samplers import place


def batch_weight(labels: torch.Tensor, labelled: bool = False) -> torch.Tensor | float:
    """Return what a mean over this share counts for in the mean over the global batch: share · processes / batch.

    `labels` (B,) of the share; with `labelled` the images without a label do not count.
    """
    processes = place()[1]
    if processes == 1:
        return 1.0
    share = (labels != NO_LABEL).sum().float() if labelled else torch.tensor(float(len(labels)), device=labels.device)
    total = share.clone()
    distributed.all_reduce(total)
    return share * processes / total.clamp_min(1.0)


def summed(values: torch.Tensor) -> torch.Tensor:
    """Return the sum over all processes, through which gradients flow; every process must ask for it."""
    return values if place()[1] == 1 else collective.all_reduce(values)


class GlobalBatchNorm(nn.BatchNorm2d):
    """Batch norm over the global batch on processors, where torch has none: (N, C, H, W) → the same, inside in fp32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise by the statistics of all processes while training, by the running ones in evaluation."""
        if not self.training or place()[1] == 1:
            return super().forward(x)
        axes, shape = (0, 2, 3), (1, -1, 1, 1)
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


class GlobalBatchNormSync(LayerSync):
    """Turn every batch norm of a model into `GlobalBatchNorm` for a data-parallel training, and back."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Change the classes in place: parameters, buffers and names stay as they are."""
        return change_classes(model, nn.BatchNorm2d, GlobalBatchNorm)

    def revert(self, model: nn.Module) -> nn.Module:
        """Change them back."""
        return change_classes(model, GlobalBatchNorm, nn.BatchNorm2d)


def change_classes(model: nn.Module, before: type[nn.Module], after: type[nn.Module]) -> nn.Module:
    """Give every module whose class is exactly `before` the class `after`, which has the same attributes."""
    for module in model.modules():
        if type(module) is before:
            module.__class__ = after
    return model


def layer_sync(accelerator: str) -> LayerSync:
    """Return how batch norms see the global batch: torch's own way on GPUs, ours on processors."""
    return GlobalBatchNormSync() if accelerator == "cpu" else TorchSyncBatchNorm()
