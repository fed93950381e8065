"""What a classifier looks at: class-activation maps, and how much of them lies on the defect.

Grad-CAM (Selvaraju et al. 2017) with local weights: a channel weighs as much as the class's logit rises with it, and
what speaks against the class is cut off. Grad-CAM takes the deepest level, but in a photograph of 128 pixels that has
4 × 4 cells, each larger than most defects, so here it is a level with more of them. There one weight for the whole
picture says too little, and one for every position (HiResCAM, Draelos and Carin 2020; LayerCAM, Jiang et al. 2021)
draws the grid of the strided convolutions behind it; so the weights are means under each cell of the deepest level,
bilinear in between. At the deepest level itself this is HiResCAM, and for a network that ends in global pooling and one
linear layer the class-activation map of Zhou et al. 2016 but for a factor. Scores: the share of the map's energy in the
mask (Wang et al. 2020) and the pointing game (Zhang et al. 2018, here without its tolerance of 15 pixels). Of the true
class, whatever was predicted: the mask shows that class's defect.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from defectdistill.evaluation.bootstrap import weighted_mean
from defectdistill.models.normalise import normalise
from defectdistill.models.students import Student
from defectdistill.models.taps import Tap
from defectdistill.predict import Predictor

CELLS = 12  # a side of a map, at least


def activation_maps(predictor: Predictor, images: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
    """Return each image's activation map of its class: float32 (N, S/stride, S/stride), not negative.

    `images` is uint8 RGB (N, S, S, 3) of the predictor's size, `classes` int (N,). The level is the deepest that has
    `CELLS` cells a side, or the finest where none has. None for a network without a feature level (see `find_taps`).
    """
    taps = predictor.student.taps()
    if not taps:
        return None
    fine = [stride for stride in taps if predictor.size >= CELLS * stride]
    tap, size = taps[max(fine, default=min(taps))], predictor.batch_size
    cells = math.ceil(predictor.size / max(taps))
    maps = []
    for start in range(0, max(1, len(images)), size):
        batch = normalise(torch.from_numpy(np.array(images[start : start + size])))
        picked = torch.from_numpy(np.asarray(classes[start : start + size], dtype=np.int64))
        maps.append(local_grad_cam(predictor.student, tap, cells, batch, picked).numpy())
    return np.concatenate(maps)


def local_grad_cam(student: Student, tap: Tap, cells: int, batch: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return relu(Σ_c α_c A_c), α_c the mean of ∂logit/∂A_c under each of cells × cells: (N, 3, H, W) → (N, h, w).

    `classes` is int64 (N,), one class of each image; A is the output of `tap`, whose α_c are bilinear between the
    cells' centres; with one cell this is Grad-CAM. The student must be in evaluation mode: batch norm would mix the
    images. No parameter gets a gradient.
    """
    logits, features = student.forward_with_features(batch, {tap.stride: tap})
    activation = features[tap.stride]  # (N, C, h, w)
    chosen = logits.gather(1, classes[:, None]).sum()  # images do not depend on each other: one backward pass for all
    (gradient,) = torch.autograd.grad(chosen, activation)
    means = functional.adaptive_avg_pool2d(gradient, cells)
    weights = functional.interpolate(means, activation.shape[2:], mode="bilinear", align_corners=False)
    return functional.relu((weights * activation).sum(dim=1)).detach()


def enlarged(maps: np.ndarray, side: int) -> np.ndarray:
    """Return maps (N, h, w) bilinearly enlarged to (N, side, side), float32."""
    wide = functional.interpolate(torch.from_numpy(maps)[:, None], (side, side), mode="bilinear", align_corners=False)
    return wide[:, 0].numpy()


def pointing(maps: np.ndarray, masks: np.ndarray, batch_size: int = 256) -> dict[str, np.ndarray]:
    """Return what each image's map has to do with its mask, float64 (N,) each, in [0, 1].

    `maps` is float32 (N, h, w), not negative; `masks` (N, S, S), bool or label maps whose non-zero values count.
    `energy_inside`: the share of the enlarged map inside the mask; `hit_rate`: 1 where its (first) highest point is
    inside, else 0; `mask_area`: the share of the image that is mask, which is what an even map would have of both.
    A map of zeros points nowhere: 0 and 0.
    """
    energy, hit = np.zeros(len(maps)), np.zeros(len(maps))
    for start in range(0, len(maps), batch_size):
        part = slice(start, start + batch_size)
        wide = enlarged(maps[part], masks.shape[1]).reshape(len(maps[part]), -1).astype(np.float64)
        inside = np.asarray(masks[part]).reshape(len(wide), -1) != 0
        total = wide.sum(axis=1)
        energy[part] = (wide * inside).sum(axis=1) / np.where(total > 0, total, 1)
        hit[part] = inside[np.arange(len(wide)), wide.argmax(axis=1)] & (total > 0)
    area = (np.asarray(masks) != 0).mean(axis=(1, 2)) if len(maps) else np.zeros(0)
    return {"energy_inside": energy, "hit_rate": hit, "mask_area": area}


def resampled_pointing(pointed: dict[str, np.ndarray], rows: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the means of `pointing` in each resample, (R,); its images are the `rows` among the N of `weights`."""
    return {name: weighted_mean(values, weights[:, rows]) for name, values in pointed.items()}
