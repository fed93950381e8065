"""The melt mark at a conductor's end: a hull (taper and bead) that grows out of the strands, with its surface."""

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.conductor import COPPER, Frame, Wire, bundle
from defectdistill.data.sources.synthetic.noise import mix, smoothstep
from defectdistill.data.sources.synthetic.surface import Surface
from defectdistill.data.sources.synthetic.traits import MeltTraits

CARBON = np.float32((0.018, 0.017, 0.017))


def bead_centre(traits: MeltTraits) -> tuple[float, float]:
    """Return where the bead's middle lies: (u, v) in conductor radii."""
    overlap = max(traits.bulb**2 - min(traits.tip, traits.bulb) ** 2, 0) ** 0.5
    return traits.taper + 0.9 * overlap * traits.stretch, traits.sag


def _hull(traits: MeltTraits, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the height above the axis of taper and bead, blended; −9 outside; `u`, `v` (H, W) in radii."""
    centre_u, centre_v = bead_centre(traits)
    along = np.clip(u / traits.taper, 0, 1)
    half_width = 1 - (1 - traits.tip) * along**1.2
    end = np.sqrt(np.maximum(1 - (np.maximum(u - traits.taper, 0) / traits.tip) ** 2, 0))
    hang = centre_v * (np.clip(u, 0, None) / max(centre_u, 0.5)) ** 2
    taper = (half_width * end) ** 2 - (v - hang) ** 2
    bead = 1 - ((u - centre_u) / (traits.bulb * traits.stretch)) ** 2 - ((v - centre_v) / traits.bulb) ** 2
    taper, bead = (np.sqrt(np.maximum(part, 0)) for part in (taper, traits.bulb**2 * bead))
    soft = 0.12  # radii over which taper and bead run into one another
    gap = np.clip(0.5 + 0.5 * (bead - taper) / soft, 0, 1)
    joined = taper + (bead - taper) * gap + soft * gap * (1 - gap) * ((taper > 0) & (bead > 0))
    return np.where(joined > 0, joined, -9).astype(np.float32)


def _threads(rng: Generator, frame: Frame) -> np.ndarray:
    """Return fine crossing ridges (0..1), the copper threads that were drawn out and froze on the surface."""
    ridges = 1 - np.abs(frame.noise(rng, 1.2, 2.4))
    return smoothstep(ridges, 0.75, 1.0) * smoothstep(frame.noise(rng, 0.7, 0.7), -0.6, 0.6)


def _pores(rng: Generator, traits: MeltTraits, frame: Frame) -> np.ndarray:
    """Return how deep (0..1) gas pores and craters go: round, of many sizes, in loose clusters."""
    rows, columns = frame.shape
    crowd = frame.noise(rng, 0.8, 0.8)
    pores = np.zeros(frame.shape, np.uint8)
    first = max(columns - 1 - frame.density * (frame.u[0, -1] + 0.5), 0)  # the column of u = −0.5
    for _ in range(round(16 * traits.pits * 2 * frame.v[-1, 0] * max(frame.u[0, -1], 1))):
        column, row = rng.uniform(first, columns), rng.uniform(0, rows)
        radius = float(np.clip(rng.lognormal(-2.6, 0.55), 0.03, 0.25)) * frame.density
        if crowd[int(row), int(column)] > -0.4:
            at = (round(column * 16), round(row * 16))  # in sixteenths of a pixel: shift = 4
            cv2.circle(pores, at, round(radius * 16), 255, -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(pores.astype(np.float32) / 255, (0, 0), 0.025 * frame.density)


def _filaments(rng: Generator, traits: MeltTraits, frame: Frame) -> np.ndarray:
    """Return the height (radii, 0 = none) of copper hairs that stand off the bead."""
    height = np.zeros(frame.shape, np.float32)
    start = np.array(bead_centre(traits))
    for _ in range(traits.filaments):
        heading, bend = rng.uniform(-2.2, 2.2), rng.normal(0, 0.5)
        steps = np.linspace(0, traits.bulb + rng.uniform(0.2, 0.7), 12)
        line = start + np.stack([steps * np.cos(heading + bend * steps), steps * np.sin(heading + bend * steps)], 1)
        pixels = (line - [frame.u[0, 0], frame.v[0, 0]]) * frame.density
        width = max(1, round(frame.density * rng.uniform(0.08, 0.2)))
        cv2.polylines(height, [np.round(pixels).astype(np.int32)], False, rng.uniform(0.05, 0.2), width, cv2.LINE_AA)
    return height


def _coating(
    rng: Generator, traits: MeltTraits, frame: Frame, sound: np.ndarray, melted: np.ndarray, pores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return albedo (H, W, 3) of strands (`sound`) and melt, and where (0..1) carbon or scale covers the metal."""
    shape = (*frame.shape, 3)
    fresh = mix(COPPER[0], COPPER[rng.integers(1, 4)], np.float32(rng.uniform(0.0, 0.9)))
    scale = smoothstep(frame.noise(rng, 0.9, 0.9, 3), 1.6 - 2.6 * traits.scale, 2.2 - 2.6 * traits.scale)
    skin = mix(np.broadcast_to(fresh, shape), np.broadcast_to(COPPER[rng.integers(1, 4)], shape), 0.8 * scale)
    albedo = mix(sound, skin * (1 + 0.06 * frame.noise(rng, 1.5, 1.5, 2))[..., None], melted)
    level = 1.9 - 3.2 * traits.carbon
    carbon = smoothstep(frame.noise(rng, 0.7, 0.7, 4), level - 0.3, level + 1.2) * melted
    soot = rng.uniform(0.0, 2.4)
    carbon = np.maximum(carbon, 0.9 * smoothstep(frame.noise(rng, 0.3, 0.5, 3), soot, soot + 1.6))
    dark = np.clip(carbon + 0.7 * pores * melted + 0.35 * scale * melted, 0, 1)
    albedo = mix(albedo, np.broadcast_to(CARBON, shape), np.maximum(carbon, 0.75 * pores * melted))
    return np.clip(albedo, 0.01, 0.95).astype(np.float32), dark.astype(np.float32)


def specimen(rng: Generator, wire: Wire, traits: MeltTraits, frame: Frame) -> tuple[Surface, np.ndarray]:
    """Return the bare conductor with its melt mark (height above the axis, in radii) and its cover (0 or 1)."""
    lump = [traits.lumps * frame.noise(rng, 0.55, 0.55, 2) for _ in range(2)]
    fade = smoothstep(frame.u, -0.3, 0.8)
    hull = _hull(traits, frame.u + fade * lump[0], frame.v + fade * lump[1])
    squeeze = 1 - (1 - traits.tip) * np.clip(frame.u[0] / traits.taper, 0, 1) ** 1.2
    strands, tone = bundle(rng, wire, frame, squeeze)
    edge = 0.3 * max(traits.taper - 1, 0) + 0.18 * frame.noise(rng, 0.2, 1.0, 2)
    reach = max(traits.transition, 0.06) / 2
    melted = smoothstep(frame.u - edge, -reach, reach)
    strands = np.where((frame.u < traits.taper + 0.3) & (melted < 0.98), strands, -9)
    fused = np.where(hull > -8, mix(np.maximum(strands, -0.3), hull, melted), np.where(melted < 0.5, strands, -9))
    line = np.exp(-(((frame.u - edge) / 0.09) ** 2))
    pores = _pores(rng, traits, frame)
    threads = _threads(rng, frame) * traits.threads
    relief = 0.16 * threads - 0.18 * pores + 0.04 * max(traits.scale - 0.2, 0) * frame.noise(rng, 3, 3, 3)
    hairs = _filaments(rng, traits, frame)
    height = fused + melted * relief - traits.groove * line * (fused > -8)
    height = np.where(hairs > 0, np.maximum(height, hairs), height).astype(np.float32)
    cover = (height > -5).astype(np.float32)
    melted = np.maximum(melted, hairs > 0) * cover
    sound = wire.colour(rng, frame) * tone[..., None]
    albedo, dark = _coating(rng, traits, frame, sound, melted, pores)
    gloss = mix(np.full(frame.shape, wire.gloss), np.full(frame.shape, traits.gloss), melted) * (1 - 0.85 * dark)
    return Surface(height, albedo, gloss, 1 - 0.9 * dark, np.where(hull > -8, melted, 0).astype(np.float32)), cover
