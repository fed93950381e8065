"""What the C channels of a teacher say: classes against a background whose logit is zero, everywhere in the image.

With one channel that is a sigmoid. Of the classes of an image the map knows where they are, and its maximum, softened,
how sure they are ("evidence").
"""

import math
from collections.abc import Collection, Iterable

import torch
import torch.nn.functional as F


def with_background(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, C, H, W) → (N, C + 1, H, W), the background's zeros first."""
    return F.pad(logits, (0, 0, 0, 0, 1, 0))


def defect_logits(logits: torch.Tensor, normal: Collection[int] = ()) -> torch.Tensor:
    """Logits (N, C, H, W) → (N, H, W): of a defect of any class against all else, positive over one half.

    All else are the background and the `normal` channels, of classes without defects: these may say that they are seen
    all over an image.
    """
    if not normal:
        return logits.logsumexp(dim=1)
    defects = [channel for channel in range(logits.shape[1]) if channel not in normal]
    return logits[:, defects].logsumexp(dim=1) - F.softplus(logits[:, [*normal]].logsumexp(dim=1))


def class_evidence(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, C, H, W) → (N, C): the logarithm of the mean of their exponentials over the image.

    A smooth maximum (Pinheiro and Collobert, CVPR 2015, with r = 1): a small mark that is certain outweighs an image
    full of doubt. Its softmax over the classes is the teacher's answer for the image.
    """
    return logits.flatten(2).logsumexp(dim=2) - math.log(logits[0, 0].numel())


def class_maps(logits: torch.Tensor, strides: Iterable[int]) -> dict[int, torch.Tensor]:
    """Logits (N, C, H, W) → {stride: probabilities (N, C + 1, ⌈H/stride⌉, ⌈W/stride⌉)}, background first, sum 1: means
    over areas.
    """
    probs = with_background(logits).softmax(dim=1)
    return {stride: pooled(probs, stride) for stride in strides}


def mask_map(masks: torch.Tensor, classes: int, stride: int) -> torch.Tensor:
    """Label maps (N, H, W), 0 = background → as one of `class_maps`, of the truth: shares of the area, float32."""
    return pooled(F.one_hot(masks.long(), classes + 1).permute(0, 3, 1, 2).float(), stride)


def pooled(maps: torch.Tensor, stride: int) -> torch.Tensor:
    """(N, C, H, W) → (N, C, ⌈H/stride⌉, ⌈W/stride⌉), means over squares of `stride` pixels, cut off at the edge."""
    return F.avg_pool2d(maps, stride, ceil_mode=True, count_include_pad=False)
