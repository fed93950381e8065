"""What an evaluation rests on: the probabilities of both models on three sets of images, and what the pixels say."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defectdistill.checkpoint import read_config
from defectdistill.data.packed import labels_of, masked_in, open_array, read_index
from defectdistill.evaluation.class_activation import activation_maps
from defectdistill.models.segmenter import Segmenter
from defectdistill.predict import Predictor

MODELS = ("student", "baseline")
Asked = Segmenter | Predictor  # a teacher


@dataclass(frozen=True)
class Predicted:
    """What the models say of N images.

    `probs` is {model: (N, K)}, `names` and `groups` (N) text, `labels` int (N,), or None where nobody knows them.
    """

    probs: dict[str, np.ndarray]
    names: list[str]
    groups: list[str]
    labels: np.ndarray | None = None

    def __post_init__(self):
        if set(self.probs) != set(MODELS):
            raise ValueError(f"probs of {sorted(self.probs)}; expected of {' and '.join(MODELS)}")
        lengths = {len(part) for part in (*self.probs.values(), self.names, self.groups)}
        if len(lengths | ({len(self.labels)} if self.labels is not None else set())) != 1:
            raise ValueError(f"probs, names, groups and labels have {sorted(lengths)} rows; expected one each an image")
        # In one order, whatever the caller's: files are written in it.
        object.__setattr__(self, "probs", {model: self.probs[model] for model in MODELS})


@dataclass(frozen=True)
class Pixels:
    """The test images: `images` uint8 (N, S, S, 3), and where their defects are.

    `masks` uint8 (N, S, S) label maps; `masked` bool (N,), whether there is one at all; `found` bool (N, S, S), the
    teacher's, None of a teacher that does not segment; `maps` {model: float32 (N, h, w)}, the activation maps of the
    true class, of the models that have any; `answers` (N, K), the probabilities that the teacher gives the classes,
    None of a teacher of no classes.
    """

    images: np.ndarray
    masks: np.ndarray
    masked: np.ndarray
    found: np.ndarray | None
    maps: dict[str, np.ndarray]
    answers: np.ndarray | None = None


def load_teacher(folder: Path, batch_size: int) -> Asked:
    """Load a trained teacher of either kind; raises FileNotFoundError or ValueError naming what does not fit."""
    kind = Predictor if "student" in read_config(folder) else Segmenter
    return kind.load(folder, batch_size)


def gather(prepared: Path, predictors: Mapping[str, Predictor], teacher: Asked) -> dict[str, Predicted | Pixels]:
    """Ask the models; return `validation`, `test` and `unlabelled` (`Predicted`), and `pixels` of the test split.

    `prepared` holds the folders of the splits, `predictors` are student and baseline.
    """
    sets = {}
    for name, side in (("validation", "val"), ("test", "test"), ("unlabelled", "unlabelled")):
        images, index = open_array(prepared / side / "images.npy"), read_index(prepared / side)
        probs = {model: predictor(images).probabilities for model, predictor in predictors.items()}
        labels = None if name == "unlabelled" else labels_of(prepared / side)
        sets[name] = Predicted(probs, [row["name"] for row in index], [row["group"] for row in index], labels)
    return sets | {"pixels": _pixels(prepared / "test", sets["test"].labels, predictors, teacher)}


def _pixels(folder: Path, labels: np.ndarray, predictors: Mapping[str, Predictor], teacher: Asked) -> Pixels:
    images, masks = open_array(folder / "images.npy"), open_array(folder / "masks.npy")
    masked = masked_in(folder)
    maps = {model: activation_maps(predictor, images, labels) for model, predictor in predictors.items()}
    known = {model: each for model, each in maps.items() if each is not None}
    answers, classes = None, predictors["student"].classes
    if isinstance(teacher, Predictor):
        answers = teacher(images).probabilities if teacher.classes == classes else None
    elif teacher.channels == classes:
        answers = teacher.class_probs(images)
    return Pixels(images, masks, masked, teacher(images) if isinstance(teacher, Segmenter) else None, known, answers)
