"""What a teacher minimises: cross-entropy of its pixels, Dice, and cross-entropy of what it makes of the whole image.

ce: the pixels alone; with one channel the cable paper's binary cross-entropy on logits. ce_dice: plus 1 − Dice.
ce_dice_image: plus the image's own label against the pooled evidence of its classes [choice], so that the map not only
finds marks but tells them apart, and images with a label and no mask teach too.
"""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.models.class_map import class_evidence, with_background

LOSSES = ("ce", "ce_dice", "ce_dice_image")


class SegmentationLoss(nn.Module):
    """One of LOSSES for logits (N, C, H, W) of `C` channels: classes in their order, or any defect where C = 1."""

    def __init__(self, name: str):
        super().__init__()
        self.image = name == "ce_dice_image"
        self.dice = None
        if name != "ce":
            from segmentation_models_pytorch.losses import DiceLoss  # its import takes seconds

            self.dice = DiceLoss(mode="multilabel", from_logits=False)

    def forward(self, logits: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits and a batch with `mask` (N, H, W), `label` (N,), `masked` (N,), whether there is a mask → scalar.

        Images without a mask count in the image's term alone.
        """
        logits, masked = logits.float(), batch["masked"].to(logits.dtype)
        known = masked.sum().clamp_min(1.0)
        by_class = logits.shape[1] > 1
        target = batch["mask"] if by_class else batch["mask"] > 0
        own = batch["label"] + 1 if by_class else torch.ones_like(batch["label"])
        pixels = pixel_cross_entropy(logits, target.long(), own if by_class else None)
        loss = (pixels.mean(dim=(1, 2)) * masked).sum() / known
        if self.dice is not None:
            weight = masked[:, None, None, None]
            probs = with_background(logits).softmax(dim=1)[:, 1:] * weight
            channels = torch.arange(1, logits.shape[1] + 1, device=target.device)[:, None, None]
            loss = loss + self.dice(probs, (target.unsqueeze(1) == channels).float() * weight)
        if self.image:
            loss = loss + F.cross_entropy(class_evidence(logits), batch["label"])
        return loss


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
