"""The one way from photographs to masks: resize, normalise, network, the most probable class, back to full size.

What `predict.py` is for classifiers, for networks that segment: a student, or a teacher. The page asks it for the
teacher's proposals (`defect`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from defectdistill.data.preprocess import content_box, scale, square
from defectdistill.models.segmenter import Segmenter, load_segmentation


@dataclass(frozen=True)
class Mask:
    """The mask of a photograph: `labels` uint8 (H, W) of its own size, 0 background, then 1 + the class.

    `shares` {class: share of the photograph's pixels} of the classes that were found, the largest first.
    """

    labels: np.ndarray
    shares: dict[str, float]


class MaskPredictor:
    """A trained network with its preprocessing; `channels` names the classes in the order of their numbers."""

    def __init__(self, segmenter: Segmenter, size: int, resize_mode: str):
        self.segmenter, self.size, self.resize_mode = segmenter, size, resize_mode
        self.channels = segmenter.channels

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 16) -> "MaskPredictor":
        """Load a checkpoint folder; raises FileNotFoundError or ValueError naming what does not fit."""
        network, config = load_segmentation(Path(folder))
        preprocessing = config.preprocessing
        segmenter = Segmenter(network, config.channels, config.normal, batch_size)
        return cls(segmenter, preprocessing.size, preprocessing.resize)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Mask]:
        """Segment uint8 RGB images, each (H, W, 3) of any size."""
        if not len(images):
            return []
        small = np.stack([self.preprocess(image) for image in images])
        found = self.segmenter.label_maps(small)
        return [self.enlarged(labels, *image.shape[:2]) for labels, image in zip(found, images, strict=True)]

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB (H, W, 3) → uint8 (S, S, 3); raises ValueError for another form."""
        return square(image, self.size, self.resize_mode)

    def defect(self, image: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return where a defect of any class has a probability over one half, bool (height, width).

        `image` is uint8 RGB of any size, the result the same picture at another one; its edges are smooth.
        """
        found = self.segmenter(self.preprocess(image)[None])[0]
        content = found[content_box(*image.shape[:2], self.size, self.resize_mode)]
        return scale(content.astype(np.float32), height, width) >= 0.5

    def enlarged(self, labels: np.ndarray, height: int, width: int) -> Mask:
        """Return what a label map (S, S) says of a photograph of `height` × `width`: nearest neighbours, no border."""
        content = labels[content_box(height, width, self.size, self.resize_mode)]
        whole = cv2.resize(np.ascontiguousarray(content), (width, height), interpolation=cv2.INTER_NEAREST)
        pixels = np.bincount(whole.ravel(), minlength=len(self.channels) + 1)[1:] / whole.size
        order = sorted(np.flatnonzero(pixels), key=lambda row: -pixels[row])
        return Mask(whole, {self.channels[row]: float(pixels[row]) for row in order})
