"""What the camera and the file make of the light: focus, vignetting, exposure, tone, white balance, noise, JPEG."""

import cv2
import numpy as np
from numpy.random import Generator

from defectdistill.data.sources.synthetic.noise import mix, smoothstep


def _focused(rng: Generator, radiance: np.ndarray, middle: tuple[float, float]) -> np.ndarray:
    """Blur a little, more with the distance from `middle` (x, y), and by camera shake in one picture of six."""
    n = radiance.shape[0]
    radiance = cv2.GaussianBlur(radiance, (0, 0), n * rng.uniform(0.001, 0.0034))
    place = (np.arange(n, dtype=np.float32) + 0.5) / n
    distance = np.hypot(place[None] - np.float32(middle[0]), place[:, None] - np.float32(middle[1]))
    reach = rng.uniform(0.17, 0.26)
    blurred = cv2.GaussianBlur(radiance, (0, 0), n * rng.uniform(0.006, 0.02))
    radiance = mix(radiance, blurred, smoothstep(distance, reach, reach + 0.2))
    if rng.random() < 1 / 6:
        length = max(3, round(n * rng.uniform(0.006, 0.016)))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        turn = cv2.getRotationMatrix2D(((length - 1) / 2, (length - 1) / 2), rng.uniform(0, 180), 1.0)
        kernel = cv2.warpAffine(kernel, turn, (length, length))
        radiance = cv2.filter2D(radiance, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return radiance


def photograph(
    rng: Generator, radiance: np.ndarray, size: int, middle: tuple[float, float], dark: bool = False
) -> np.ndarray:
    """Return the picture (size, size, 3), uint8 RGB, of linear `radiance` (N, N, 3), focused on `middle` (x, y).

    `dark`: half a stop less light, exposure less sure, twice the noise.
    """
    radiance = cv2.resize(_focused(rng, radiance, middle), (size, size), interpolation=cv2.INTER_AREA)
    x, y = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * 2)
    off = rng.normal(0, 0.15, 2).tolist()  # Python floats: a NumPy one would turn everything into float64
    radiance = radiance * (1 - rng.uniform(0, 0.35) * ((x - off[0]) ** 2 + (y - off[1]) ** 2) / 2)[..., None]
    # Automatic exposure meters the whole picture and is off by up to a stop; automatic white balance
    # takes away at most half of the cast.
    metered = np.exp(np.log(radiance.mean(-1) + 0.02).mean())
    stops = rng.normal(-0.5 if dark else 0.0, 0.5 if dark else 0.32)
    balance = radiance.mean((0, 1)) / radiance.mean()
    radiance = radiance * (0.17 / metered * 2**stops) / balance ** rng.uniform(0.0, 0.5)
    radiance = radiance * rng.uniform(0.94, 1.06, 3).astype(np.float32)
    tones = 1 - np.exp(-1.3 * np.maximum(radiance, 0))  # the shoulder that keeps highlights from clipping hard
    grain = rng.uniform(0.004, 0.014) * (2.0 if dark else 1.0)
    noise = rng.standard_normal((size, size, 3), dtype=np.float32) * 0.6
    noise += rng.standard_normal((size, size, 1), dtype=np.float32)
    encoded = tones ** np.float32(1 / 2.2) + noise * np.float32(grain)
    picture = (np.clip(encoded, 0, 1) * 255).round().astype(np.uint8)
    _, packed = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(55, 96))])
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]
