"""The scene as a camera above it sees it: a height field with its materials, on which objects are laid one by one."""

from dataclasses import dataclass

import cv2
import numpy as np

from defectdistill.data.sources.synthetic.noise import mix


@dataclass
class Surface:
    """Height and material of every pixel of a square raster of side N.

    `height`: (N, N), unit: the picture's side, 0 = the support. `albedo`: (N, N, 3), linear RGB in 0..1.
    `gloss`: (N, N), 0 = matt, 1 = mirror. `metal`: (N, N), 0 = dielectric, 1 = metal (its reflection is tinted by the
    albedo). `melt`: (N, N), 1 where the melt mark is seen. All float32.
    """

    height: np.ndarray
    albedo: np.ndarray
    gloss: np.ndarray
    metal: np.ndarray
    melt: np.ndarray

    @classmethod
    def support(cls, height: np.ndarray, albedo: np.ndarray, gloss: float, metal: float = 0.0) -> "Surface":
        """Return the bare support of (N, N) relief `height` and (N, N, 3) `albedo`, of one gloss."""
        flat = np.ones_like(height)
        return cls(height, np.clip(albedo, 0.01, 0.95), flat * gloss, flat * metal, flat * 0)

    @property
    def side(self) -> int:
        """The raster's side in pixels."""
        return self.height.shape[0]

    def lay(self, other: "Surface", cover: np.ndarray) -> None:
        """Lay `other` on this surface where `cover` (0..1, soft at its edge) is above 0 and it is the higher one."""
        weight = np.where(other.height > self.height, cover, 0).astype(np.float32)
        for name in ("height", "albedo", "gloss", "metal", "melt"):
            setattr(self, name, mix(getattr(self, name), getattr(other, name), weight))

    def ball(self, centre: tuple[float, float], radius: float, colour: np.ndarray, gloss: float, melt: float) -> None:
        """Lay a metal ball on whatever is under it; `centre` (x, y) and `radius` in units of the picture's side."""
        n = self.side
        reach = int(np.ceil(radius * n)) + 1
        column, row = int(centre[0] * n), int(centre[1] * n)
        left, top = max(column - reach, 0), max(row - reach, 0)
        window = (slice(top, max(row + reach + 1, 0)), slice(left, max(column + reach + 1, 0)))
        ground = self.height[window]
        if ground.size == 0:
            return
        y, x = np.mgrid[top : top + ground.shape[0], left : left + ground.shape[1]].astype(np.float32)
        distance = np.hypot((x + 0.5) / n - centre[0], (y + 0.5) / n - centre[1])
        cover = np.clip((radius - distance) * n + 0.5, 0, 1)
        rise = radius * 0.6 + np.sqrt(np.maximum(radius**2 - distance**2, 0))
        self.height[window] = mix(ground, ground.mean() + rise, cover)
        self.albedo[window] = mix(self.albedo[window], np.broadcast_to(colour, (*ground.shape, 3)), cover)
        for layer, value in ((self.gloss, gloss), (self.metal, 1.0), (self.melt, melt)):
            layer[window] = mix(layer[window], np.full_like(ground, value), cover)

    def defocus(self, sigma: float) -> None:
        """Blur height and albedo, as a support that lies behind the plane of focus; `sigma` in units of the side."""
        self.height, self.albedo = (
            cv2.GaussianBlur(layer, (0, 0), sigma * self.side) for layer in (self.height, self.albedo)
        )

    def stain(self, colour: tuple[float, float, float], weight: np.ndarray) -> None:
        """Cover the surface with a thin matt film (soot, ash) of linear RGB `colour`, `weight` (N, N) in 0..1."""
        self.albedo = mix(self.albedo, np.broadcast_to(np.float32(colour), self.albedo.shape), weight)
        self.gloss = self.gloss * (1 - 0.8 * weight)
        self.metal = self.metal * (1 - 0.7 * weight)


def warped(surface: Surface, columns: np.ndarray, rows: np.ndarray) -> Surface:
    """Return `surface` sampled bilinearly at (N, N) float32 pixel positions; outside it everything is 0."""
    layers = (surface.height, surface.albedo, surface.gloss, surface.metal, surface.melt)
    return Surface(*(cv2.remap(layer, columns, rows, cv2.INTER_LINEAR, borderValue=0) for layer in layers))
