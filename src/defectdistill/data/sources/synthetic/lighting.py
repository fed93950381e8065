"""How the height field is lit: Lambert's diffuse light, spherical-Gaussian reflections, cast shadow, occlusion."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.noise import smoothstep
from defectdistill.data.sources.synthetic.surface import Surface


@dataclass(frozen=True)
class Light:
    """A lamp or window at `azimuth` and `elevation` (radians), its linear RGB `colour`, its `spread` (0 = a point)."""

    azimuth: float
    elevation: float
    colour: np.ndarray
    spread: float

    @property
    def direction(self) -> np.ndarray:
        """The unit vector towards the light: x to the right, y down, z to the camera."""
        flat = np.cos(self.elevation)
        return np.float32([flat * np.cos(self.azimuth), flat * np.sin(self.azimuth), np.sin(self.elevation)])


def warmth(value: float) -> np.ndarray:
    """Return the linear RGB of a light between blue sky (−1), neutral (0) and candle-like tungsten (1)."""
    return np.float32([1 + 0.28 * value, 1 - 0.04 * abs(value), 1 - 0.38 * value])


@dataclass(frozen=True)
class Lighting:
    """All light of a photograph: the lamps, first the one that casts the shadow, and the light from all around."""

    lamps: tuple[Light, ...]
    ambient: np.ndarray

    @classmethod
    def usual(cls, rng: Generator) -> "Lighting":
        """Return the light of the labelled photographs: daylight or lamps of a laboratory, from any side."""
        cast = rng.normal(0, 0.3)
        key = Light(rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.25), 1.5 * warmth(cast), rng.uniform(0.03, 0.6))
        second = warmth(cast + rng.normal(0, 0.2)) * rng.uniform(0.1, 0.6)
        fill = Light(rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.4), second, rng.uniform(0.1, 0.7))
        return cls((key, fill), warmth(cast + rng.normal(0, 0.2)) * rng.uniform(0.2, 0.7))

    @classmethod
    def other(cls, rng: Generator) -> "Lighting":
        """Return the light of the unlabelled photographs: a flash, a torch in the dark, or a tungsten bulb."""
        kind = rng.integers(3)
        azimuth = rng.uniform(0, 2 * np.pi)
        if kind == 0:  # the flash sits beside the lens
            lamps = (Light(azimuth, rng.uniform(1.35, 1.5), 1.9 * warmth(rng.normal(-0.2, 0.15)), 0.05),)
            return cls(lamps, warmth(rng.normal(0.3, 0.2)) * 0.08)
        if kind == 1:
            lamps = (Light(azimuth, rng.uniform(0.25, 0.6), 1.6 * warmth(rng.normal(-0.5, 0.2)), 0.1),)
            return cls(lamps, warmth(0.0) * 0.06)
        lamps = (Light(azimuth, rng.uniform(0.5, 1.2), 1.3 * warmth(rng.normal(0.9, 0.2)), 0.5),)
        return cls(lamps, warmth(0.9) * rng.uniform(0.1, 0.3))


def _normals(height: np.ndarray) -> np.ndarray:
    """Return unit normals (N, N, 3); slopes are held below 4 so that a silhouette does not turn into a black line."""
    n = height.shape[0]
    slopes = [cv2.Sobel(height, cv2.CV_32F, *order, ksize=3, scale=n / 8) for order in ((1, 0), (0, 1))]
    steep = np.hypot(*slopes)
    hold = 1 / np.maximum(1, steep / 4)
    normal = np.stack([-slopes[0] * hold, -slopes[1] * hold, np.ones_like(height)], axis=-1)
    return normal / np.sqrt((normal**2).sum(-1, keepdims=True))


def _shadow(height: np.ndarray, lamp: Light) -> np.ndarray:
    """Return how much (0..1) of the lamp each pixel loses behind what stands between; marched at half size."""
    small = cv2.resize(height, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    n = small.shape[0]
    x, y, z = lamp.direction
    slope = float(z / max(np.hypot(x, y), 1e-3))
    blocked = np.zeros_like(small)
    for distance in (np.geomspace(0.012, 0.4, 14) / max(slope, 0.6)).tolist():
        shift = np.float32([[1, 0, -x * distance * n], [0, 1, -y * distance * n]])
        beyond = cv2.warpAffine(small, shift, (n, n), borderMode=cv2.BORDER_REPLICATE)
        blocked = np.maximum(blocked, (beyond - small - slope * distance) / (0.02 + 0.4 * lamp.spread * distance))
    soft = cv2.GaussianBlur(smoothstep(blocked, -0.05, 0.6), (0, 0), n * (0.002 + 0.008 * lamp.spread))
    return cv2.resize(soft, height.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _occlusion(height: np.ndarray) -> np.ndarray:
    """Return the share (0..1) of the light from all around that reaches a pixel: less in hollows and beside objects."""
    n = height.shape[0]
    wide, near = (cv2.GaussianBlur(height, (0, 0), n * sigma) - height for sigma in (0.035, 0.008))
    return np.exp(-np.maximum(14 * wide, 0) - np.maximum(20 * near, 0))


def lit(surface: Surface, lighting: Lighting) -> np.ndarray:
    """Return the radiance (N, N, 3) that the surface sends to the camera, linear RGB, float32, not limited."""
    normal = _normals(surface.height)
    mirrored = 2 * normal[..., 2:] * normal - np.float32([0, 0, 1])
    open_sky = _occlusion(surface.height)
    diffuse = cv2.transform(open_sky, lighting.ambient[:, None])
    # The room that a metal mirrors: bright above, dark towards the horizon, where the camera and the walls are.
    room = open_sky * (0.35 + smoothstep(mirrored[..., 2], -0.4, 0.9))
    mirror = cv2.transform(room, lighting.ambient[:, None])
    polish = np.exp(np.float32(1.2) + 4.2 * surface.gloss)  # sharpness of the reflected lobe, 3 to 220
    for number, lamp in enumerate(lighting.lamps):
        seen = (1 - _shadow(surface.height, lamp)) if number == 0 else open_sky
        towards = lamp.direction[None]
        facing = np.maximum(cv2.transform(normal, towards), 0) * seen
        sharpness = polish / (1 + lamp.spread * polish * 0.06)
        strength = np.minimum(0.3 + 0.16 * sharpness, 5) * seen
        lobe = np.exp(sharpness * (cv2.transform(mirrored, towards) - 1)) * strength
        diffuse += cv2.transform(facing, lamp.colour[:, None])
        mirror += cv2.transform(lobe, lamp.colour[:, None])
    metal, gloss = (cv2.merge([layer] * 3) for layer in (surface.metal, surface.gloss))
    # Metals tint what they mirror and send little light back otherwise; the rest reflects 4 % untinted.
    tint = metal * (0.85 * surface.albedo + 0.15 * gloss) + (1 - metal) * 0.04
    return surface.albedo * (1 - (0.35 + 0.4 * gloss) * metal) * diffuse + tint * mirror * (0.3 + 0.7 * gloss)
