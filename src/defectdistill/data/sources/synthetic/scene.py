"""One photograph from start to end: support, conductor with its melt mark, what lies around it, light, camera."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from defectdistill.data.sources.synthetic.background import background
from defectdistill.data.sources.synthetic.camera import photograph
from defectdistill.data.sources.synthetic.conductor import COPPER, Frame, Wire, sheath
from defectdistill.data.sources.synthetic.lighting import Lighting, lit
from defectdistill.data.sources.synthetic.melt import bead_centre, specimen
from defectdistill.data.sources.synthetic.noise import field, smoothstep
from defectdistill.data.sources.synthetic.surface import Surface, warped
from defectdistill.data.sources.synthetic.traits import MeltTraits, melt_traits

OVERSAMPLING = 1.25  # drawn larger than the picture, so that edges and lines come out smooth


@dataclass(frozen=True)
class Pose:
    """Where the conductor's last sound cross-section lies (x, y), its radius (units of the side), angle, bend."""

    x: float
    y: float
    radius: float
    angle: float
    bend: float

    @classmethod
    def drawn(cls, rng: Generator, traits: MeltTraits) -> "Pose":
        """Frame the mark: its middle within a third of the picture's middle; long marks from a little farther off."""
        length = traits.taper + traits.bulb
        radius = rng.uniform(0.11, 0.175) * (2.2 / (0.9 + length)) ** 0.2
        angle = rng.uniform(0, 2 * np.pi)
        middle = 0.5 + rng.normal(0, 0.07, 2)
        x, y = middle - length / 2 * radius * np.array([np.cos(angle), np.sin(angle)])
        return cls(float(x), float(y), radius, angle, rng.normal(0, 0.012))

    def axes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return u and v (conductor radii) of each pixel of an (n, n) raster."""
        place = (np.arange(n, dtype=np.float32) + 0.5) / n
        x, y = np.meshgrid((place - self.x) / self.radius, (place - self.y) / self.radius)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = (x * cos + y * sin).astype(np.float32), (y * cos - x * sin).astype(np.float32)
        return u, v - np.float32(self.bend) * np.minimum(u, 0) ** 2

    def place(self, u: float, v: float) -> tuple[float, float]:
        """Return the picture position (x, y) of a point beside or beyond the end (u ≥ 0: no bend there)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.x + self.radius * (u * cos - v * sin), self.y + self.radius * (u * sin + v * cos)


def _lay_conductor(rngs: dict[str, Generator], scene: Surface, pose: Pose, traits: MeltTraits) -> None:
    """Draw the conductor straight and lay it, bent and turned, on the scene."""
    n = scene.side
    u, v = pose.axes(n)
    half_width = max(1.9, abs(traits.sag) + 1.2 * traits.bulb + 0.6)
    back = float(-u[np.abs(v) < half_width].min())  # as far as the picture's edge
    front = traits.taper + (1 + traits.stretch) * traits.bulb + 0.8
    frame = Frame.spanning(back, front, half_width, pose.radius * n)
    wire = Wire.drawn(rngs["conductor"])
    columns, rows = ((axis - start.flat[0]) * frame.density for axis, start in ((u, frame.u), (v, frame.v)))
    parts = [specimen(rngs["melt"], wire, traits, frame), sheath(rngs["insulation"], frame)]
    for surface, cover in [part for part in parts if part is not None]:
        surface.height = np.maximum((1 + surface.height) * pose.radius, 0)
        laid = warped(surface, columns, rows)
        scene.lay(laid, cv2.remap(cover, columns, rows, cv2.INTER_LINEAR, borderValue=0))


def _scatter(rng: Generator, scene: Surface, pose: Pose, traits: MeltTraits) -> None:
    """Strew metal beads around the mark, and crumbs of char and ash anywhere."""
    u, v = bead_centre(traits)
    for _ in range(traits.spatter):
        distance, heading = traits.bulb + rng.gamma(1.5, 0.9), rng.uniform(0, 2 * np.pi)
        radius = pose.radius * np.clip(rng.lognormal(-2.1, 0.5), 0.06, 0.4)
        centre = pose.place(u + distance * np.cos(heading), v + distance * np.sin(heading))
        big = radius > 0.2 * pose.radius
        colour = COPPER[rng.integers(4)] * rng.uniform(0.7, 1.1)
        scene.ball(centre, radius, colour, np.clip(rng.normal(traits.gloss, 0.1), 0.1, 0.95), float(big))


def _litter(rng: Generator, scene: Surface) -> None:
    """Lay crumbs of char, ash and grit on the support and the conductor alike."""
    n = scene.side
    amount, cells = rng.uniform(2.6, 5.0), rng.uniform(25, 80)
    crumbs = smoothstep(field(rng, (cells, cells), (n, n)), amount, amount + 0.5)
    tone = [(0.02, 0.02, 0.02), (0.4, 0.38, 0.35), (0.2, 0.1, 0.05)][rng.integers(3)]
    scene.height = scene.height + 0.006 * crumbs
    scene.stain(tone, crumbs)


def draw(seeds: SeedSequence, cause: str, size: int, usual_light: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph (size, size, 3), uint8 RGB, and where its melt mark is seen (size, size), bool."""
    names = ("traits", "pose", "support", "conductor", "insulation", "melt", "scatter", "litter", "light", "camera")
    rngs = {name: default_rng(child) for name, child in zip(names, seeds.spawn(len(names)), strict=True)}
    traits = melt_traits(rngs["traits"], cause)
    pose = Pose.drawn(rngs["pose"], traits)
    scene = background(rngs["support"], round(size * OVERSAMPLING))
    _litter(rngs["litter"], scene)
    scene.defocus(rngs["camera"].uniform(0.001, 0.008))
    _lay_conductor(rngs, scene, pose, traits)
    _scatter(rngs["scatter"], scene, pose, traits)
    lighting = (Lighting.usual if usual_light else Lighting.other)(rngs["light"])
    picture = photograph(rngs["camera"], lit(scene, lighting), size, dark=not usual_light)
    return picture, cv2.resize(scene.melt, (size, size), interpolation=cv2.INTER_AREA) > 0.5
