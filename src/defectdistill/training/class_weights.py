"""What an image counts for in the loss by its class, where some classes have many images and others few.

`balanced` is the usual inverse frequency. `adaptive` follows the idea of rkd-sarsn (Huang et al. 2023, of which we have
the abstract): a loss from accuracy and G-mean, by which classes are re-weighted as training goes on. [choice] Its
formula is ours: `adapted`.
"""

import numpy as np
import torch
from torch import distributed, nn

from defectdistill.data.batches import NO_LABEL
from defectdistill.data.samplers import rank_and_processes

MEMORY = 0.5  # share of the weights that an epoch leaves as they were: without it they swing
LARGEST_SHIFT = 0.5  # a class that is always found still counts for half of an even share, or it would be forgotten


def adapted(weights: torch.Tensor, hits: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Return the weights (K,) of the next epoch from those of this one and from what it got right, (K,) of `seen`.

    With recalls r_k, accuracy A and G-mean G = (Π r_k)^(1/K), the shift s = max(0, 1 − G/A)/2 says how far the large
    classes are served before the small ones; the aim is (1 − s) + s·(1 − r_k)/mean(1 − r), whose mean over the classes
    is 1, and half of the way there is gone. Classes of which nothing was seen take no part and keep their weight.
    Without a mistake, or where all classes are served alike, the aim is 1 for every class.
    """
    known = seen > 0
    if not known.any() or hits.sum() == 0:
        return weights
    recalls = hits[known] / seen[known]
    accuracy, g_mean = hits.sum() / seen.sum(), recalls.prod() ** (1 / len(recalls))
    shift = LARGEST_SHIFT * (1 - g_mean / accuracy).clamp_min(0)
    missed = 1 - recalls
    relative = missed / missed.mean() if missed.mean() > 0 else torch.ones_like(missed)
    aim = weights.clone()
    aim[known] = (1 - shift) + shift * relative
    return MEMORY * weights + (1 - MEMORY) * aim


class ClassWeights(nn.Module):
    """Weights of the classes; in the loss their mean over the training images is 1, so that it keeps its size.

    `kind` is balanced or adaptive, `labels` int (N,) are those of the training images. `weights` is a buffer: a
    checkpoint holds it. What an epoch got right is no buffer: processes of one training would overwrite each other's.
    """

    def __init__(self, kind: str, labels: np.ndarray, classes: int):
        super().__init__()
        self.kind = kind
        counts = torch.bincount(torch.from_numpy(labels), minlength=classes).double()
        balanced = counts.sum() / (classes * counts.clamp_min(1))
        self.register_buffer("counts", counts.float())
        self.register_buffer("weights", balanced.float() if kind == "balanced" else torch.ones(classes))
        self.hits, self.seen = torch.zeros(classes), torch.zeros(classes)

    def scaled(self) -> torch.Tensor:
        """Return the weights (K,) with mean 1 over the training images."""
        return self.weights * self.counts.sum() / (self.weights * self.counts).sum()

    def forward(self, losses: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Losses (B,) of images with labels (B,) → each times its class's weight; NO_LABEL has the loss 0 anyway."""
        return losses * self.scaled()[labels.clamp_min(0)]

    def note(self, logits: torch.Tensor, labels: torch.Tensor) -> None:
        """Count what logits (B, K) get right of labels (B,)."""
        if self.kind != "adaptive":
            return
        labelled = labels != NO_LABEL
        labels, said = labels[labelled], logits.detach()[labelled].argmax(dim=1)
        self.hits, self.seen = self.hits.to(labels.device), self.seen.to(labels.device)
        ones = torch.ones_like(labels, dtype=self.seen.dtype)
        self.seen.index_add_(0, labels, ones)
        self.hits.index_add_(0, labels, (said == labels).to(self.hits.dtype))

    def end_epoch(self) -> None:
        """Set the weights of the next epoch, the same in all processes, and forget what was counted."""
        if self.kind != "adaptive":
            return
        # On the device that processes speak by, where nothing was counted in the epoch too (of a hint).
        self.hits, self.seen = self.hits.to(self.weights.device), self.seen.to(self.weights.device)
        if rank_and_processes()[1] > 1:
            distributed.all_reduce(self.hits)
            distributed.all_reduce(self.seen)
        self.weights.copy_(adapted(self.weights, self.hits, self.seen))
        self.hits.zero_()
        self.seen.zero_()

    def named(self) -> dict[str, torch.Tensor]:
        """Return the weights by name, for the history; {} where they never change."""
        if self.kind != "adaptive":
            return {}
        return {f"class_weight_{index}": weight for index, weight in enumerate(self.scaled())}


def class_weights(kind: str, labels: np.ndarray, classes: int) -> ClassWeights | None:
    """Return the weights that `class_weights` in params.yaml asks for; None for `none`."""
    return None if kind == "none" else ClassWeights(kind, labels, classes)
