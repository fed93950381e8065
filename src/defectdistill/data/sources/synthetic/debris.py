"""What lies about after a fire: metal beads and matt crumbs near the mark, grains and splinters anywhere."""

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.conductor import COPPER
from defectdistill.data.sources.synthetic.noise import field, smoothstep
from defectdistill.data.sources.synthetic.pose import Pose
from defectdistill.data.sources.synthetic.surface import Surface
from defectdistill.data.sources.synthetic.traits import MeltTraits

# Linear albedo of char (three of it), scale, ash, rust.
CRUMB_TONES = np.float32(
    [[0.02] * 3, [0.03] * 3, [0.06, 0.05, 0.05], [0.16, 0.09, 0.06], [0.35, 0.33, 0.3], [0.3, 0.14, 0.08]]
)


def spatter(rng: Generator, scene: Surface, pose: Pose, traits: MeltTraits) -> None:
    """Strew metal beads around the mark; those of a quarter of the conductor's radius or more belong to it."""
    for _ in range(traits.spatter):
        radius = pose.radius * float(np.clip(rng.lognormal(-1.9, 0.5), 0.07, 0.45))
        colour = COPPER[rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])] * rng.uniform(0.7, 1.1)
        gloss = float(np.clip(rng.normal(traits.gloss, 0.1), 0.1, 0.95))
        scene.ball(pose.around(rng, traits), radius, colour, gloss, melt=float(radius >= 0.25 * pose.radius))


def crumbs(rng: Generator, scene: Surface, pose: Pose, traits: MeltTraits) -> None:
    """Strew matt, angular crumbs of char, ash and scale around the mark.

    The fewer beads, the more crumbs: how much lies about does not tell the cause, only what it is.
    """
    n = scene.side
    shape, albedo = np.zeros((n, n), np.uint8), scene.albedo.copy()
    for _ in range(round(rng.normal(18, 5)) - traits.spatter):
        corners = np.sort(rng.uniform(0, 2 * np.pi, 7))
        reach = pose.radius * float(np.clip(rng.lognormal(-1.85, 0.5), 0.07, 0.4)) * rng.uniform(0.6, 1.1, 7)
        outline = pose.around(rng, traits) + reach[:, None] * np.stack([np.cos(corners), np.sin(corners)], 1)
        pixels = [np.round(outline * n * 16).astype(np.int32)]  # in sixteenths of a pixel: shift = 4
        tone = CRUMB_TONES[rng.integers(len(CRUMB_TONES))] * rng.uniform(0.6, 1.3)
        cv2.fillPoly(albedo, pixels, tone.tolist(), cv2.LINE_8, 4)
        cv2.fillPoly(shape, pixels, 255, cv2.LINE_AA, 4)
    cover = shape.astype(np.float32) / 255
    dome = cv2.GaussianBlur(cover, (0, 0), 0.06 * pose.radius * n)
    flat = np.ones_like(cover)
    height = scene.height + 0.25 * pose.radius * dome * cover + 1e-6
    scene.lay(Surface(height, albedo, 0.05 * flat, 0 * flat, 0 * flat), cover)


def litter(rng: Generator, scene: Surface) -> None:
    """Lay grains of char, ash or rust and splinters of glass on the support, wherever the mark is."""
    n = scene.side
    amount, cells = rng.uniform(2.8, 5.0), rng.uniform(25, 80)
    grains = smoothstep(field(rng, (cells, cells), (n, n)), amount, amount + 0.5)
    tone = [(0.02, 0.02, 0.02), (0.4, 0.38, 0.35), (0.2, 0.1, 0.05)][rng.integers(3)]
    scene.height = scene.height + 0.006 * grains
    scene.stain(tone, grains)
    for _ in range(rng.integers(9)):  # glass and aluminium: bright points that are no sheen of the melt
        centre = tuple(rng.uniform(0, 1, 2).tolist())
        scene.ball(centre, rng.uniform(0.004, 0.012), np.float32((0.9, 0.9, 0.9)), 0.9, melt=0.0)
