"""What a conductor lies on: wood, concrete, laminate, fabric, sheet metal, ash, a cutting mat; and a scale."""

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.noise import field, mix, smoothstep
from defectdistill.data.sources.synthetic.surface import Surface


def _turned(rng: Generator, picture: np.ndarray) -> np.ndarray:
    """Turn a texture drawn on a larger square by any angle and cut the middle out."""
    side = picture.shape[0]
    keep = round(side / 1.5)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 360), 1.0)
    turn[:, 2] -= (side - keep) / 2
    return cv2.warpAffine(picture, turn, (keep, keep), borderMode=cv2.BORDER_REFLECT)


def _tinted(tone: np.ndarray, colour: tuple[float, float, float]) -> np.ndarray:
    return tone[..., None] * np.float32(colour)


def wood(rng: Generator, n: int) -> Surface:
    """Planed or worn boards: rings stretched along the grain, fine pores."""
    large = (round(n * 1.5),) * 2
    rings = np.sin(field(rng, (4, 1.2), large) * rng.uniform(4, 10)) + 0.6 * field(rng, (60, 3), large, 2)
    pores = smoothstep(field(rng, (150, 9), large), 1.2, 2.0)
    grain = _turned(rng, rings - 2.0 * pores)
    colour = [(0.42, 0.26, 0.13), (0.58, 0.41, 0.23), (0.22, 0.13, 0.08), (0.36, 0.30, 0.24)][rng.integers(4)]
    return Surface.support(0.0012 * grain, _tinted(0.95 + 0.13 * grain, colour), rng.uniform(0.05, 0.35))


def concrete(rng: Generator, n: int) -> Surface:
    """Cement or stone: stains, sand grains, air holes."""
    stains, grains = field(rng, (5, 5), (n, n), 3), field(rng, (110, 110), (n, n), 2)
    holes = smoothstep(field(rng, (38, 38), (n, n)), 1.9, 2.5)
    tone = rng.uniform(0.2, 0.5) * (1 + 0.10 * stains + 0.07 * grains) * (1 - 0.5 * holes)
    warm = rng.uniform(0.88, 1.0)
    return Surface.support(0.0006 * grains - 0.004 * holes, _tinted(tone, (1.0, 0.5 + 0.5 * warm, warm)), 0.03)


def laminate(rng: Generator, n: int) -> Surface:
    """A laboratory bench: nearly even, faint mottle, a few spots."""
    colour = [(0.62, 0.62, 0.6), (0.35, 0.42, 0.5), (0.75, 0.74, 0.7), (0.1, 0.11, 0.12), (0.4, 0.45, 0.4)]
    mottle, spots = field(rng, (150, 150), (n, n)), smoothstep(field(rng, (30, 30), (n, n)), 2.0, 2.6)
    tone = (1 + 0.03 * mottle + 0.05 * field(rng, (3, 3), (n, n))) * (1 - 0.4 * spots)
    return Surface.support(0.0003 * mottle, _tinted(tone, colour[rng.integers(5)]), rng.uniform(0.2, 0.6))


def fabric(rng: Generator, n: int) -> Surface:
    """Woven cloth: two crossing sets of yarns, uneven yarn by yarn."""
    large = round(n * 1.5)
    count = rng.uniform(45, 90)
    x, y = np.meshgrid(*[np.linspace(0, count * np.pi, large, dtype=np.float32)] * 2)
    x, y = (axis + 0.5 * field(rng, (6, 6), (large, large), 2) for axis in (x, y))
    warp, weft = np.abs(np.sin(x)) * (np.sin(y) > 0), np.abs(np.sin(y)) * (np.sin(x) > 0)
    weave = _turned(rng, np.maximum(warp, weft) + 0.15 * field(rng, (count, count), (large, large)))
    colour = [(0.5, 0.48, 0.42), (0.1, 0.16, 0.32), (0.3, 0.1, 0.1), (0.16, 0.17, 0.16)][rng.integers(4)]
    folds = 0.005 * field(rng, (3, 3), (n, n))
    return Surface.support(0.003 * weave + folds, _tinted(0.75 + 0.3 * weave, colour), 0.02)


def sheet_metal(rng: Generator, n: int) -> Surface:
    """Brushed or rusty steel: a tray, a switchboard's plate."""
    large = (round(n * 1.5),) * 2
    brush = _turned(rng, field(rng, (220, 3), large, 2))
    edge = rng.uniform(0, 4)
    rust = smoothstep(field(rng, (6, 6), (n, n), 4), edge, edge + 1.2)
    tone = _tinted(rng.uniform(0.3, 0.55) * (1 + 0.1 * brush), (1.0, 1.0, 1.02))
    albedo = mix(tone, _tinted(1 + 0.2 * brush, (0.27, 0.13, 0.06)), rust)
    surface = Surface.support(0.0005 * brush + 0.001 * rust, albedo, 0.4)
    surface.gloss, surface.metal = 0.45 * (1 - rust), 0.7 * (1 - rust)
    return surface


def ash(rng: Generator, n: int) -> Surface:
    """Fire debris: ash, soil and crumbs of char."""
    crumbs, dust = field(rng, (45, 45), (n, n), 3), field(rng, (6, 6), (n, n), 3)
    tone = rng.uniform(0.1, 0.32) * np.exp(0.3 * crumbs + 0.25 * dust)
    return Surface.support(0.006 * crumbs, _tinted(tone, (1.0, 0.93, 0.84)), 0.03)


def cutting_mat(rng: Generator, n: int) -> Surface:
    """A printed grid on a coloured mat or on graph paper."""
    large = round(n * 1.5)
    pitch = rng.uniform(0.05, 0.12)
    x, y = np.meshgrid(*[np.arange(large, dtype=np.float32) / n] * 2)
    lines = sum(smoothstep(np.abs((axis / pitch) % 1 - 0.5), 0.47, 0.5) for axis in (x, y))
    colour, ink = [((0.05, 0.2, 0.16), 0.3), ((0.68, 0.68, 0.64), -0.25), ((0.07, 0.1, 0.2), 0.3)][rng.integers(3)]
    albedo = (
        _tinted(1 + 0.04 * field(rng, (90, 90), (n, n), 2), colour)
        + ink * _turned(rng, np.minimum(lines, 1))[..., None]
    )
    return Surface.support(np.zeros((n, n), np.float32), albedo, rng.uniform(0.05, 0.3))


MATERIALS = (wood, concrete, laminate, fabric, sheet_metal, ash, cutting_mat)


def ruler(rng: Generator, surface: Surface) -> None:
    """Lay a scale with millimetre ticks and figures near one edge of the picture."""
    n = surface.side
    strip = np.full((n // 5, n * 2), 255, np.uint8)
    pitch = n * rng.uniform(0.016, 0.03)
    for tick in range(int(2 * n / pitch)):
        length = 0.55 if tick % 10 == 0 else 0.4 if tick % 5 == 0 else 0.25
        column = round(tick * pitch)
        cv2.line(strip, (column, 0), (column, round(length * strip.shape[0])), 0, max(1, n // 200), cv2.LINE_AA)
        if tick % 10 == 0:
            at = (column + n // 120, round(0.92 * strip.shape[0]))
            cv2.putText(strip, str(tick // 10), at, cv2.FONT_HERSHEY_SIMPLEX, n / 420, 0, max(1, n // 200), cv2.LINE_AA)
    angle = rng.integers(4) * 90 + rng.normal(0, 12)
    turn = cv2.getRotationMatrix2D((n, strip.shape[0] / 2), angle, 1.0)
    reach = np.deg2rad(angle)
    offset = n * rng.uniform(0.36, 0.46)
    turn[:, 2] += [n / 2 - n + offset * np.sin(reach), n / 2 - strip.shape[0] / 2 + offset * np.cos(reach)]
    print_, cover = (
        cv2.warpAffine(layer, turn, (n, n)) for layer in (strip / np.float32(255), np.ones(strip.shape, np.float32))
    )
    paper, ink = [((0.8, 0.79, 0.75), 0.03), ((0.55, 0.55, 0.56), 0.03), ((0.7, 0.5, 0.06), 0.02)][rng.integers(3)]
    albedo = mix(
        np.broadcast_to(np.float32([ink] * 3), (n, n, 3)), np.broadcast_to(np.float32(paper), (n, n, 3)), print_
    )
    flat = np.ones((n, n), np.float32)
    surface.lay(Surface(flat * 0.02, albedo, flat * 0.35, flat * 0, flat * 0), cover)


def background(rng: Generator, n: int) -> Surface:
    """Return a random support of (n, n) pixels, clean or sooty, with a scale in one picture of four."""
    surface = MATERIALS[rng.integers(len(MATERIALS))](rng, n)
    soot = rng.uniform(0.3, 2.6)
    surface.stain((0.025, 0.023, 0.022), 0.65 * smoothstep(field(rng, (4, 4), (n, n), 4), soot, soot + 2.2))
    if rng.random() < 0.25:
        ruler(rng, surface)
    return surface
