"""What a teacher minimises: cross-entropy of its pixels, Dice, and cross-entropy of what it makes of the whole image.

ce: the pixels alone; with one channel the cable paper's binary cross-entropy on logits. ce_dice: plus 1 − Dice.
ce_dice_image: plus the image's own label against the pooled evidence of its classes [choice], so that the map not only
finds marks but tells them apart, and images with a label and no mask teach too.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.models.class_map import class_evidence, with_background
from defectdistill.training.distributed import summed

LOSSES = ("ce", "ce_dice", "ce_dice_image")


class SegmentationLoss(nn.Module):
    """One of LOSSES for logits (N, C, H, W) of `C` channels: classes in their order, or any defect where C = 1.

    A batch holds `mask` (N, H, W), `label` (N,) and `masked` (N,), whether there is a mask.
    """

    def __init__(self, name: str):
        super().__init__()
        self.overlaps, self.knows_images = name != "ce", name == "ce_dice_image"

    def forward(self, logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch that one process sees whole."""
        return self.of_images(logits, batch).mean() + self.of_overlap(logits, batch)

    def of_images(self, logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the cross-entropies of each image (N,), in nats: its pixels', 0 without a mask, and its own."""
        logits, by_class = logits.float(), logits.shape[1] > 1
        target = (batch["mask"] if by_class else batch["mask"] > 0).long()
        own = batch["label"] + 1 if by_class else None
        losses = pixel_cross_entropy(logits, target, own).mean(dim=(1, 2)) * batch["masked"]
        if self.knows_images:
            losses = losses + F.cross_entropy(class_evidence(logits), batch["label"], reduction="none")
        return losses

    def of_overlap(self, logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor | float:
        """Return 1 − soft Dice over all pixels of the global batch's masks, a mean over channels.

        A channel that is marked nowhere counts as 0, as in segmentation-models-pytorch's DiceLoss, whose sums cannot
        be taken over several processes.
        """
        if not self.overlaps:
            return 0.0
        weight = batch["masked"][:, None, None, None]
        probs = with_background(logits.float()).softmax(dim=1)[:, 1:] * weight
        channels = torch.arange(1, logits.shape[1] + 1, device=logits.device)[:, None, None]
        mask = batch["mask"] if logits.shape[1] > 1 else batch["mask"] > 0
        true = (mask.unsqueeze(1) == channels) * weight
        sums = [part.sum(dim=(0, 2, 3)) for part in (probs * true, probs + true, true)]
        common, area, marked = summed(torch.stack(sums))
        return ((1 - 2 * common / area.clamp_min(1e-7)) * (marked > 0)).mean()


def pixel_cross_entropy(logits: torch.Tensor, target: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """Logits (N, C, H, W), channels wanted (N, H, W) with 0 = background → (N, H, W), in nats.

    `own` (N,) is the channel of each image's class: where an image's mask is empty, each pixel may be background or of
    this class [choice]. A class that is a state of the whole surface ("free of defects") has no mask, and may show
    itself anywhere.
    """
    every = with_background(logits)
    wanted = every.gather(1, target.unsqueeze(1)).squeeze(1)
    if own is not None:
        empty = ~target.flatten(1).any(dim=1)
        either = F.softplus(every.gather(1, own.view(-1, 1, 1, 1).expand(-1, 1, *target.shape[1:])).squeeze(1))
        wanted = torch.where(empty[:, None, None], either, wanted)
    return every.logsumexp(dim=1) - wanted
