"""Dice and IoU of each class over all pixels of a split, of hard and of soft masks, summed over batches and processes.

torchmetrics has the hard ones (its multi-class F1 is the pooled Dice, which the tests hold these against); the soft
one, which tells epochs apart before any pixel passes one half, comes of the same pass.
"""

import torch
from torchmetrics import Metric


class ClassOverlap(Metric):
    """Sums for `classes` classes and, last, any defect against background."""

    full_state_update = False

    def __init__(self, classes: int):
        super().__init__()
        self.classes = classes
        # of each row: pixels that both mark, that were found, that are true
        self.add_state("pixels", torch.zeros(classes + 1, 3, dtype=torch.long), dist_reduce_fx="sum")
        # the same of probabilities: their sums where the truth marks, and everywhere
        self.add_state("shares", torch.zeros(classes + 1, 2), dist_reduce_fx="sum")

    def update(self, probs: torch.Tensor, masks: torch.Tensor) -> None:
        """Add probabilities (N, K + 1, H, W), background first, against label maps (N, H, W), 0 = background."""
        found, channels = probs.argmax(dim=1), range(1, self.classes + 1)
        true = [masks == channel for channel in channels] + [masks > 0]
        hard = [found == channel for channel in channels] + [found > 0]
        soft = [*probs[:, 1:].unbind(dim=1), 1 - probs[:, 0]]
        for row, (truth, marked, share) in enumerate(zip(true, hard, soft, strict=True)):
            self.pixels[row] += torch.stack([(truth & marked).sum(), marked.sum(), truth.sum()])
            self.shares[row] += torch.stack([share[truth].sum(), share.sum()])

    def compute(self) -> dict[str, torch.Tensor]:
        """Return `mean_dice`, `mean_iou` and `soft_dice`, means over the classes that the truth shows, and `dice` of
        any defect; 0 where it shows none.
        """
        both, found, true = self.pixels.float().unbind(dim=1)
        dice, iou = 2 * both / (found + true).clamp_min(1), both / (found + true - both).clamp_min(1)
        shared, probable = self.shares.unbind(dim=1)
        soft = 2 * shared / (probable + true).clamp_min(1)
        shown = true[:-1] > 0

        def mean(values: torch.Tensor) -> torch.Tensor:
            return (values[:-1] * shown).sum() / shown.sum().clamp_min(1)

        return {"mean_dice": mean(dice), "mean_iou": mean(iou), "soft_dice": mean(soft), "dice": dice[-1]}
