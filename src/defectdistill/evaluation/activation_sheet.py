"""What student and baseline look at, as a picture: activation maps over the photographs, with the true masks."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from defectdistill.data.packed import evenly
from defectdistill.evaluation.class_activation import enlarged, pointing
from defectdistill.evaluation.contact_sheet import contact_sheet
from defectdistill.evaluation.gathered import Pixels
from defectdistill.evaluation.plot_style import heading, readable

SHOWN = 8
TILE = 160


def activation_sheet(
    pixels: Pixels, labels: np.ndarray, classes: Sequence[str], path: Path, synthetic: bool
) -> Path | None:
    """Draw up to SHOWN test photographs with a defect, in the order of the split, and each model's map beside it.

    Beside a photograph stand its class and what share of each map lies inside the mask. `labels` is int (N,). None,
    and no file, where no map or no mask that is not empty exists.
    """
    rows = [row for row in np.flatnonzero(pixels.masked) if pixels.masks[row].any()]
    if not rows or not pixels.maps:
        return None
    shown = evenly(np.array(rows), SHOWN)
    images, masks = np.array(pixels.images[shown]), (np.array(pixels.masks[shown]) > 0).astype(np.uint8)
    inside = {model: pointing(maps[shown], masks)["energy_inside"] for model, maps in pixels.maps.items()}
    heated = {model: heat(images, maps[shown]) for model, maps in pixels.maps.items()}
    lines = []
    for place, row in enumerate(shown):
        shares = "\n".join(f"{model}: {100 * inside[model][place]:.0f} % inside" for model in heated)
        tiles = np.stack([images[place], *(tiles[place] for tiles in heated.values())])
        text = f"{readable(classes[labels[row]], 22)}\nmask: {100 * masks[place].mean():.0f} % of the image\n{shares}"
        lines.append((text, tiles, np.repeat(masks[place][None], len(tiles), axis=0)))
    title = "Where the evidence for the true class comes from"
    headings = ["Photograph", *map(heading, heated)]
    contact_sheet(lines, len(headings), path, title, TILE, headings, synthetic=synthetic)
    return path


def heat(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return grey images under their maps: uint8 (N, S, S, 3) and float32 (N, h, w) → uint8 (N, S, S, 3)."""
    return painted(images, enlarged(maps, images.shape[1]))


def painted(images: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Return grey images under maps of their size: uint8 (N, H, W, 3) and float32 (N, H, W) → uint8 (N, H, W, 3).

    Each map is divided by its highest value; from dark violet (nothing) over red to light yellow (highest).
    """
    wide = wide / np.maximum(wide.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    colours = matplotlib.colormaps["inferno"](wide)[..., :3]
    grey = images.mean(axis=3, keepdims=True) / 255  # (N, H, W, 1)
    return (255 * (0.45 * grey + 0.55 * colours)).round().astype(np.uint8)
