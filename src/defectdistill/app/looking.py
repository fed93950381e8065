"""Looks at one photograph: class, certainty, the spots that speak for the class, and what it resembles."""

from dataclasses import dataclass

import cv2
import numpy as np

from defectdistill.app.limits import Limits
from defectdistill.app.loaded import Loaded
from defectdistill.app.neighbours import Nearest
from defectdistill.app.uploads import Upload, read
from defectdistill.data.images import BadImage
from defectdistill.data.preprocess import content_box, scale
from defectdistill.evaluation.class_activation import activation_maps, enlarged

SIDE = 480  # pixels of the longer side of a picture on the page
STRENGTH = 0.7  # of the heat map where it is highest; nothing of it where it is zero


@dataclass(frozen=True)
class Finding:
    """What a model says of a photograph, whose classes are those of `probabilities`, and pictures of it.

    `photo` and `heat` are uint8 RGB of at most SIDE pixels (`heat` None: this network shows no spot); `nearest` is
    what it resembles, or why that is not known.
    """

    upload: Upload
    predicted: str
    probabilities: dict[str, float]
    confidence: float
    entropy: float
    uncertain: bool
    photo: np.ndarray
    heat: np.ndarray | None
    nearest: Nearest | str

    @property
    def is_unfamiliar(self) -> bool:
        """Whether it is farther from all that was learned from than is usual for new photographs."""
        return not isinstance(self.nearest, str) and bool(self.nearest.far)


@dataclass(frozen=True)
class Refused:
    """A file that could not be looked at, and why."""

    name: str
    reason: str


def look(upload: Upload, model: str, loaded: Loaded, limits: Limits) -> Finding | Refused:
    """Look at an upload with `model`, student or baseline; a file that is no usable photograph is refused."""
    try:
        _, image = read(upload, limits)
    except BadImage as error:
        return Refused(upload.name, error.reason)
    except OSError as error:
        return Refused(upload.name, f"cannot be read ({error.strerror}); drop it again")
    return examine(image, upload, model, loaded)


def examine(image: np.ndarray, upload: Upload, model: str, loaded: Loaded) -> Finding:
    """Return what `model` says of an image, uint8 RGB (H, W, 3)."""
    assessor = loaded.assessors[model]
    predictor = assessor.predictor
    small = predictor.preprocess(image)
    neighbourhood = loaded.neighbourhood(model)
    with loaded.asking:
        assessed = assessor([small])
        index = predictor.classes.index(assessed.classes[0])
        maps = activation_maps(predictor, small[None], np.array([index]))
        nearest = neighbourhood if isinstance(neighbourhood, str) else neighbourhood.nearest(predictor, small)
    photo = thumbnail(image)
    return Finding(
        upload,
        assessed.classes[0],
        dict(zip(predictor.classes, assessed.probabilities[0].tolist(), strict=True)),
        float(assessed.confidence[0]),
        float(assessed.entropy[0]),
        bool(assessed.uncertain[0]),
        photo,
        None if maps is None else heated(photo, maps, image.shape[:2], predictor.size, predictor.resize_mode),
        nearest,
    )


def thumbnail(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return an image, uint8 RGB (H, W, 3), made so small that no side is longer than `side`; never larger."""
    height, width = image.shape[:2]
    factor = min(1, side / max(height, width))
    return scale(image, max(1, round(height * factor)), max(1, round(width * factor)))


def heated(photo: np.ndarray, maps: np.ndarray, shape: tuple[int, int], size: int, resize: str) -> np.ndarray:
    """Lay an activation map over a picture of its photograph: uint8 RGB (h, w, 3), in colours where it is high.

    `maps` is float32 (1, a, b) of the prepared square of `size` pixels, `shape` the original's height and width.
    """
    wide = enlarged(maps, size)[0][content_box(*shape, size, resize)]
    wide = scale(np.ascontiguousarray(wide), *photo.shape[:2])
    share = wide / max(float(wide.max()), np.finfo(np.float32).tiny)
    colours = cv2.applyColorMap((255 * share).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    weight = STRENGTH * np.sqrt(share)[..., None]
    return (photo * (1 - weight) + colours * weight).round().astype(np.uint8)
