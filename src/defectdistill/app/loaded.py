"""The models of a pipeline's run, loaded once for the page and asked by one person at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from defectdistill.app.neighbours import Neighbourhood
from defectdistill.assess import Assessor
from defectdistill.data.tables import read_json
from defectdistill.places import CALIBRATION
from defectdistill.predict_masks import MaskPredictor

STUDENT, BASELINE, TEACHER = "student", "baseline", "teacher"
EVALUATION, PREPARED = Path("metrics/evaluate.json"), Path("data/prepared")


@dataclass
class Loaded:
    """What can be asked. `missing` says in a sentence each what is not there and how to get it.

    `evaluation` is what evaluate.json holds, empty where it is missing; `targets` the accuracy that the threshold of
    each model was chosen for. A network is asked under `asking`: activation maps and features are read by hooks on the
    network, which would also catch the images of another thread.
    """

    assessors: dict[str, Assessor]
    targets: dict[str, float | None]
    teacher: MaskPredictor | None
    evaluation: dict
    prepared: Path
    missing: list[str]
    asking: threading.RLock = field(default_factory=threading.RLock)
    _neighbourhoods: dict[str, Neighbourhood | str] = field(default_factory=dict)

    @classmethod
    def open(
        cls, models: Path, calibration: Path = CALIBRATION, evaluation: Path = EVALUATION, prepared: Path = PREPARED
    ) -> "Loaded":
        """Load the student, and of baseline, teacher and scores what is there.

        Raises FileNotFoundError or ValueError that says what the student lacks.
        """
        assessors, missing = {STUDENT: Assessor.load(models / STUDENT, calibration, STUDENT)}, []
        with _optional(missing, "The baseline cannot be chosen"):
            assessors[BASELINE] = Assessor.load(models / BASELINE, calibration, BASELINE)
        teacher, scores = None, {}
        with _optional(missing, "The teacher cannot propose a mask"):
            teacher = MaskPredictor.load(models / TEACHER)
        with _optional(missing, "It is not known how good the models are"):
            scores = read_json(evaluation)
        chosen = read_json(calibration)
        targets = {model: chosen[model].get("target_accuracy") for model in assessors}
        return cls(assessors, targets, teacher, scores, prepared, missing)

    @property
    def classes(self) -> list[str]:
        """The student's classes."""
        return self.assessors[STUDENT].predictor.classes

    def neighbourhood(self, model: str) -> Neighbourhood | str:
        """Return what `model` learned from, computed when first asked for, or why it cannot be shown."""
        with self.asking:
            if model not in self._neighbourhoods:
                try:
                    built = Neighbourhood.build(self.assessors[model].predictor, self.prepared)
                except (OSError, ValueError, KeyError) as error:
                    built = f"Similar photographs cannot be shown: {error}"
                self._neighbourhoods[model] = built
            return self._neighbourhoods[model]

    def has_neighbourhood(self, model: str) -> bool:
        """Whether asking for `neighbourhood` takes no time."""
        return model in self._neighbourhoods


@contextmanager
def _optional(missing: list[str], consequence: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        missing.append(f"{consequence}: {str(error).splitlines()[0]}")
