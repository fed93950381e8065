"""What a person is told of a photograph: class, calibrated probabilities, and whether to ask a person instead.

Temperature and threshold are those that `evaluate` found on the validation split (`metrics/calibration.json`). The
command line, the web page and batch scoring all ask this module, so that one threshold cannot be read in two ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.checkpoint import content_hash
from defectdistill.data.tables import read_json
from defectdistill.places import CALIBRATION
from defectdistill.predict import Predictor
from defectdistill.probabilities import confidence


@dataclass(frozen=True)
class Assessment:
    """Calibrated probabilities float64 (N, K), class names (N), and for each image its confidence (the largest
    probability), its entropy in nats, and whether it is too uncertain to be answered without a person, bool (N,)."""

    probabilities: np.ndarray
    classes: list[str]
    confidence: np.ndarray
    entropy: np.ndarray
    uncertain: np.ndarray


def is_number(value: object) -> bool:
    """Tell whether a value out of a JSON file is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


class Assessor:
    """A predictor with the `threshold` on its calibrated confidence below which a person is asked.

    None: no threshold reached the accuracy that was asked for, so every image goes to a person.
    """

    def __init__(self, predictor: Predictor, threshold: float | None):
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"threshold = {threshold}: expected a confidence between 0 and 1, or null")
        self.predictor, self.threshold = predictor, threshold

    @classmethod
    def load(
        cls, folder: str | Path, calibration: Path = CALIBRATION, model: str = "student", batch_size: int = 64
    ) -> "Assessor":
        """Load a checkpoint folder with what `calibration` (written by `evaluate`) says of `model`: student, baseline.

        Raises FileNotFoundError or ValueError naming what is missing or does not fit, other weights than those that
        `calibration` is of too (where it says: files written by hand need not).
        """
        chosen = read_json(calibration).get(model)
        if not isinstance(chosen, dict) or not {"temperature", "threshold"} <= set(chosen):
            raise ValueError(
                f"{calibration} has no temperature and threshold for {model!r}: restore it with `dvc checkout`, or "
                "run `dvc repro evaluate`"
            )
        if not is_number(chosen["temperature"]) or not (chosen["threshold"] is None or is_number(chosen["threshold"])):
            raise ValueError(
                f"{calibration} says of {model!r} temperature = {chosen['temperature']!r}, threshold = "
                f"{chosen['threshold']!r}: expected a number above 0, and a confidence between 0 and 1 or null"
            )
        predictor, weights = Predictor.load(folder, batch_size, chosen["temperature"]), content_hash(Path(folder))
        if chosen.get("weights", weights) != weights:
            raise ValueError(
                f"what {calibration} says of {model!r} was found for other weights ({str(chosen['weights'])[:12]}…) "
                f"than those in {folder} ({weights[:12]}…): run `dvc repro evaluate`, or name the file that belongs to "
                "them (--calibration)"
            )
        return cls(predictor, chosen["threshold"])

    def __call__(self, images: Sequence[np.ndarray]) -> Assessment:
        """Assess uint8 RGB images as `Predictor` takes them."""
        prediction = self.predictor(images)
        probs = prediction.probabilities
        sure = confidence(probs) if len(probs) else np.empty(0)
        uncertain = np.ones(len(probs), bool) if self.threshold is None else sure < self.threshold
        return Assessment(probs, prediction.classes, sure, prediction.entropy, uncertain)
