"""Where a conductor lies in the picture: any angle, the melt mark near the middle, a slight bend behind it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.melt import bead_centre
from defectdistill.data.sources.synthetic.traits import MeltTraits


@dataclass(frozen=True)
class Pose:
    """Place (x, y) and `radius` of the last sound cross-section in units of the picture's side; `angle` in radians.

    `bend` is the sideways shift per squared length behind the cross-section, in conductor radii.
    """

    x: float
    y: float
    radius: float
    angle: float
    bend: float

    @classmethod
    def drawn(cls, rng: Generator, traits: MeltTraits) -> "Pose":
        """Frame the mark as a photographer does: its middle near the picture's, a large mark from farther off.

        Without the distance a mark's area in the picture alone would tell the cause; with it the sound conductor is
        about a tenth thinner behind a flame's large melt.
        """
        length = traits.taper + traits.bulb
        area = np.pi * traits.bulb**2 * traits.stretch + traits.taper * (1 + traits.tip)
        radius = rng.uniform(0.115, 0.18) * (7 / area) ** 0.3
        angle = rng.uniform(0, 2 * np.pi)
        middle = 0.5 + rng.normal(0, 0.06, 2)
        x, y = middle - length / 2 * radius * np.array([np.cos(angle), np.sin(angle)])
        return cls(float(x), float(y), radius, angle, rng.normal(0, 0.012))

    def axes(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return u (along) and v (across), in conductor radii, of each pixel of an (n, n) raster; float32."""
        place = (np.arange(n, dtype=np.float32) + 0.5) / n
        x, y = np.meshgrid((place - self.x) / self.radius, (place - self.y) / self.radius)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = (x * cos + y * sin).astype(np.float32), (y * cos - x * sin).astype(np.float32)
        return u, v - np.float32(self.bend) * np.minimum(u, 0) ** 2

    def place(self, u: float, v: float) -> tuple[float, float]:
        """Return the picture position (x, y) of a point beside or beyond the end (u ≥ 0: no bend there)."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.x + self.radius * (u * cos - v * sin), self.y + self.radius * (u * sin + v * cos)

    def around(self, rng: Generator, traits: MeltTraits) -> tuple[float, float]:
        """Return a random picture position (x, y) near the mark, beside its bead."""
        u, v = bead_centre(traits)
        distance, heading = traits.bulb + rng.gamma(1.5, 0.9), rng.uniform(0, 2 * np.pi)
        return self.place(u + distance * np.cos(heading), v + distance * np.sin(heading))
