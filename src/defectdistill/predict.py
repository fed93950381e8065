"""The one way from photographs to class probabilities: resize, normalise, network, softmax.

`evaluate` and everything that is shipped call it, so that no second preprocessing can drift away from it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from defectdistill import checkpoint
from defectdistill.data.preprocess import square
from defectdistill.model_forms import Classifier
from defectdistill.model_json import build, read_model_json
from defectdistill.models.normalise import normalise
from defectdistill.models.students import Student, build_student
from defectdistill.probabilities import entropy


@dataclass(frozen=True)
class Prediction:
    """Probabilities float64 (N, K) that sum to 1, the predicted class names (N), and the entropies (N) in nats."""

    probabilities: np.ndarray
    classes: list[str]
    entropy: np.ndarray


class Predictor:
    """A trained student or baseline with its preprocessing.

    `temperature` divides the logits: 1 leaves them as they are, `metrics/calibration.json` holds what `evaluate` found.
    """

    def __init__(
        self,
        student: Student,
        classes: list[str],
        size: int,
        resize_mode: str,
        batch_size: int = 64,
        temperature: float = 1.0,
    ):
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature = {temperature}: expected a finite number above 0 (1 changes nothing)")
        self.student = student.eval().to(memory_format=torch.channels_last)
        self.classes = classes
        self.size = size
        self.resize_mode = resize_mode
        self.batch_size = batch_size
        self.temperature = temperature

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 64, temperature: float = 1.0) -> "Predictor":
        """Load a checkpoint folder of a student; raises FileNotFoundError or ValueError naming what does not fit."""
        folder = Path(folder)
        config = read_model_json(folder, Classifier)
        student = build(folder, lambda: build_student(config.student.arch, len(config.classes)))
        checkpoint.load_into(student, folder)
        size, resize_mode = config.preprocessing.size, config.preprocessing.resize
        return cls(student, config.classes, size, resize_mode, batch_size, temperature)

    def __call__(self, images: Sequence[np.ndarray]) -> Prediction:
        """Classify uint8 RGB images, each (H, W, 3) of any size, or one array (N, S, S, 3)."""
        if len(images) == 0:
            return Prediction(np.empty((0, len(self.classes))), [], np.empty(0))
        starts = range(0, len(images), self.batch_size)
        probs = np.concatenate([self._probs(images[start : start + self.batch_size]) for start in starts])
        return Prediction(probs, [self.classes[index] for index in probs.argmax(axis=1)], entropy(probs))

    @torch.inference_mode()
    def _probs(self, images: Sequence[np.ndarray]) -> np.ndarray:
        batch = np.stack([self.preprocess(image) for image in images])
        device = next(self.student.parameters()).device
        logits = self.student(normalise(torch.from_numpy(batch).to(device)))
        return torch.softmax(logits.double() / self.temperature, dim=1).cpu().numpy()

    def preprocess(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB (H, W, 3) → uint8 (S, S, 3); raises ValueError for another form."""
        return square(image, self.size, self.resize_mode)
