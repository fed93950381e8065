"""A copper conductor before the accident and after the fire: strands, patina, insulation; alike for every cause.

It is drawn straight, along u (columns) and across v (rows), both in conductor radii; u = 0 is the last sound
cross-section, the melt mark lies at u > 0. The pose bends and turns it into the picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.noise import field, mix, smoothstep
from defectdistill.data.sources.synthetic.surface import Surface

# Linear albedo of copper: clean, brown with the first oxide, red cuprous oxide, black cupric oxide.
COPPER = np.float32([(0.90, 0.52, 0.36), (0.42, 0.22, 0.13), (0.36, 0.11, 0.07), (0.07, 0.06, 0.055)])
INSULATION = np.float32(
    [(0.75, 0.74, 0.7), (0.02, 0.02, 0.022), (0.45, 0.03, 0.03), (0.03, 0.08, 0.35), (0.3, 0.3, 0.3), (0.6, 0.5, 0.05)]
)


@dataclass(frozen=True)
class Frame:
    """The raster of a straight conductor: `u` (1, W) and `v` (H, 1) in conductor radii, `density` pixels a radius."""

    u: np.ndarray
    v: np.ndarray
    density: float

    @classmethod
    def spanning(cls, back: float, front: float, half_width: float, density: float) -> "Frame":
        """Return the frame over u in −back..front and v in −half_width..half_width."""
        columns, rows = round((back + front) * density), round(2 * half_width * density)
        u = (np.arange(columns, dtype=np.float32) + 0.5) / np.float32(density) - np.float32(back)
        v = (np.arange(rows, dtype=np.float32) + 0.5) / np.float32(density) - np.float32(half_width)
        return cls(u[None], v[:, None], density)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the raster."""
        return self.v.size, self.u.size

    def noise(self, rng: Generator, along: float, across: float, octaves: int = 1) -> np.ndarray:
        """Return noise over the frame with `along` × `across` lattice cells a conductor radius."""
        rows, columns = self.shape
        return field(rng, (across * rows / self.density, along * columns / self.density), self.shape, octaves)


@dataclass(frozen=True)
class Wire:
    """One conductor's make and state: strand count, lay length (radii), looseness, patina, gloss."""

    strands: int
    lay: float
    looseness: float
    patina: tuple[float, float, float]
    gloss: float

    @classmethod
    def drawn(cls, rng: Generator) -> "Wire":
        """Return a random make: solid or 7, 12 or 19 strands, clean to black."""
        lay = rng.uniform(9, 24) * (1 if rng.random() < 0.5 else -1)
        patina = tuple(rng.uniform((-1.6, -2.6, -2.2), (1.6, 0.4, 1.0)).tolist())
        strands = int(rng.choice([1, 7, 12, 19], p=[0.2, 0.35, 0.2, 0.25]))
        return cls(strands, lay, rng.gamma(1.2, 0.05), patina, rng.uniform(0.3, 0.95))

    def colour(self, rng: Generator, frame: Frame) -> np.ndarray:
        """Return the linear albedo of its oxidised surface over the frame, (H, W, 3)."""
        colour = np.broadcast_to(COPPER[0], (*frame.shape, 3))
        for tone, level in zip(COPPER[1:], self.patina, strict=True):
            cover = smoothstep(level + 0.8 * frame.noise(rng, 0.25, 0.35, 3), -0.6, 0.9)
            colour = mix(colour, np.broadcast_to(tone, colour.shape), cover)
        return colour * (1 + 0.08 * frame.noise(rng, 0.8, 2.5, 2))[..., None]


def _rings(strands: int) -> list[tuple[float, float, float]]:
    """Return (distance from the axis, angle, radius) of each strand; a hexagonal lay of 7 or 19, a ring of 12."""
    radius = {1: 1.0, 7: 1 / 3, 12: 0.23, 19: 0.2}[strands]
    places = [(0.0, 0.0, radius)]
    rings = {1: (), 7: ((6, 2),), 12: ((3, 1.2), (9, 3.3)), 19: ((6, 2), (12, 4))}[strands]
    for count, distance in rings:
        places += [(distance * radius, 2 * np.pi * k / count, radius) for k in range(count)]
    return places


def bundle(rng: Generator, wire: Wire, frame: Frame, squeeze: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return height above the axis (radii; −9 where there is no strand) and tone (about 1) of the twisted strands.

    `squeeze` (W,): the width of the bundle over that of the sound conductor, column by column.
    """
    u = frame.u[0]
    top, tone = np.full(frame.shape, -9, np.float32), np.ones(frame.shape, np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    for distance, angle, radius in _rings(wire.strands):
        phase = turn + angle + 2 * np.pi * u / wire.lay
        stray = wire.looseness * field(rng, (1, u.size / frame.density / 3), (2, u.size))[0] * (distance > 0)
        loose = float(0.4 * rng.random() < wire.looseness and distance > 0)
        broken = loose * rng.uniform(0.5, 3)
        stray = stray + loose * rng.uniform(-1, 1) * smoothstep(u, -5, 0) * 1.3
        centre = squeeze * distance * np.cos(phase) + stray
        rise = squeeze * distance * np.sin(phase)
        shade = 1 + 0.12 * float(rng.standard_normal())
        width = radius * np.maximum(squeeze, 0.3) if wire.strands == 1 else radius * np.clip(squeeze, 0.5, 1)
        reach = (frame.v - centre) / width
        height = rise + width * np.sqrt(np.maximum(1 - reach**2, 0))
        seen = (np.abs(reach) < 1) & (height > top) & (frame.u < (-broken if broken else np.inf))
        top = np.where(seen, height, top)
        tone = np.where(seen, shade, tone)
    marks = frame.noise(rng, 0.4, 9.0)
    return np.where(top > -8, top + 0.012 * marks, top), tone * (1 + 0.05 * marks)


def sheath(rng: Generator, frame: Frame) -> tuple[Surface, np.ndarray] | None:
    """Return a remnant of insulation (height above the axis, in radii) and its cover, or None for a bare conductor."""
    if rng.random() < 0.3:
        return None
    radius, end = rng.uniform(1.25, 1.6), -rng.gamma(2.0, 1.6) - 0.4
    ragged = frame.noise(rng, 0.3, 1.2, 3) * rng.uniform(0.1, 0.6)
    swell = 1 + 0.05 * frame.noise(rng, 0.5, 0.5, 2) + rng.uniform(0, 0.25) * np.exp(-(((frame.u - end) / 0.8) ** 2))
    reach = frame.v / (radius * swell)
    height = radius * swell * np.sqrt(np.maximum(1 - reach**2, 0))
    burn = rng.uniform(0.2, 4)
    char = smoothstep(frame.u - end + 0.7 * frame.noise(rng, 0.6, 0.8, 3), -burn, -burn / 4)
    height = height + char * 0.06 * frame.noise(rng, 3, 3, 2)
    colour = INSULATION[rng.integers(len(INSULATION))] * rng.uniform(0.7, 1.1)
    black = np.float32((0.022, 0.02, 0.02))
    albedo = mix(*(np.broadcast_to(tone, (*frame.shape, 3)) for tone in (colour, black)), char)
    gloss = np.where(char > 0.5, rng.uniform(0.05, 0.5), rng.uniform(0.2, 0.6)) * np.ones(frame.shape)
    empty = np.zeros(frame.shape, np.float32)
    cover = ((np.abs(reach) < 1) & (frame.u + ragged < end)).astype(np.float32)
    return Surface(height, albedo, gloss.astype(np.float32), empty, empty), cover
