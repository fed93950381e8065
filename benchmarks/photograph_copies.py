"""Ways in which a copy of a photograph comes back: shared by the benchmark and the tests of near copies."""

from collections.abc import Callable

import cv2
import numpy as np

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    """Return uint8 RGB (H,W,3) after JPEG of a quality 0…100."""
    data = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with its sides times `factor`."""
    return cv2.resize(
        image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    )


def cropped(image: np.ndarray, generator: np.random.Generator, share: float = 0.05) -> np.ndarray:
    """Return the image without `share` of its height and of its width, cut off at random from both ends."""
    height, width = image.shape[:2]
    top, left = (int(generator.uniform(0, share) * side) for side in (height, width))
    return image[top : top + round((1 - share) * height), left : left + round((1 - share) * width)]


def brightened(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the image 15 % brighter or darker, with 15 % more or less contrast."""
    brightness, contrast = 1 + generator.choice([-0.15, 0.15], 2)
    values = image.astype(np.float32) * brightness
    return np.clip((values - values.mean()) * contrast + values.mean(), 0, 255).astype(np.uint8)


def turned(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the image turned by a multiple of 90° and mirrored, at random."""
    image = np.rot90(image, generator.integers(4))
    return np.ascontiguousarray(image[:, ::-1] if generator.random() < 0.5 else image)


def everything(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the image after all of it: cropped, brightened, turned, resized, encoded."""
    image = turned(brightened(cropped(image, generator), generator), generator)
    return encoded(resized(image, generator.uniform(0.5, 2)), int(generator.integers(40, 91)))


KINDS: dict[str, Change] = {
    "the same pixels": lambda image, _: image.copy(),
    "JPEG, quality 90": lambda image, _: encoded(image, 90),
    "JPEG, quality 60": lambda image, _: encoded(image, 60),
    "JPEG, quality 40": lambda image, _: encoded(image, 40),
    "half the size": lambda image, _: resized(image, 0.5),
    "twice the size": lambda image, _: resized(image, 2.0),
    "cropped by 5 %": cropped,
    "cropped by 10 %": lambda image, generator: cropped(image, generator, 0.1),
    "brightness and contrast ±15 %": brightened,
    "turned by 90°": lambda image, _: np.ascontiguousarray(np.rot90(image)),
    "turned by 180°": lambda image, _: np.ascontiguousarray(np.rot90(image, 2)),
    "turned by 270°": lambda image, _: np.ascontiguousarray(np.rot90(image, 3)),
    "mirrored": lambda image, _: np.ascontiguousarray(image[:, ::-1]),
    "mirrored and turned by 90°": lambda image, _: np.ascontiguousarray(np.rot90(image)[:, ::-1]),
    "all of these together": everything,
}
