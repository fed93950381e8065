"""What distilling is worth on a set of photographs: rows of trainings over several splits and seeds, paired.

Every row is trained with each seed on each split, so that two rows differ in nothing else; they are compared as
`repeated.compare` does, which knows that trainings of one split share their test photographs and that splits overlap.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.data.packed import labels_of, masked_in, open_array
from defectdistill.evaluation.bootstrap import once
from defectdistill.evaluation.calibration import SEPARATED
from defectdistill.evaluation.class_activation import activation_maps, pointing
from defectdistill.evaluation.gathered import load_teacher
from defectdistill.evaluation.measures import choose, labelled_measures
from defectdistill.evaluation.repeated import Comparison, Training, compare
from defectdistill.evaluation.scores import classification_scores
from defectdistill.models.segmenter import Segmenter
from defectdistill.predict import Predictor

MEASURES = {  # name → its words
    "macro_f1": "Macro-F1",
    "loss": "Loss, calibrated (less is better)",
    "calibration_error": "Calibration error, calibrated (less is better)",
    "energy_inside": "Activation inside the mask",
}
UNCALIBRATED = "uncalibrated"
Measured = dict[str, float]  # by the names of MEASURES and UNCALIBRATED; what cannot be told is missing


@dataclass(frozen=True)
class Place:
    """One training: of which row, on which split, with which seed."""

    row: str
    split: int
    seed: int


@dataclass(frozen=True)
class Paired:
    """A row against a `reference` by one measure; `error_ratio` is (1 − macro-F1) / (1 − macro-F1), of macro-F1 alone,
    None where the reference makes no error."""

    row: str
    reference: str
    measure: str
    found: Comparison
    error_ratio: float | None


def ask_students(row: str, folders: Sequence[Path], splits: Mapping[int, Path]) -> dict[Place, Measured]:
    """Measure a row's students, in `folders` called …-SPLIT-SEED, on the photographs in their `splits`' folders.

    Raises ValueError naming a student whose split is gone.
    """
    found = {}
    for folder in folders:
        split, seed = map(int, folder.name.rsplit("-", 2)[1:])
        if split not in splits:
            here = ", ".join(map(str, splits))
            raise ValueError(
                f"{folder} learned from split {split}, and the splits here are {here}: remove it, or train it"
            )
        predictor = Predictor.load(folder / "models/student")
        found[Place(row, split, seed)] = measured_student(predictor, splits[split] / "data/prepared")
    return found


def ask_teachers(row: str, splits: Mapping[int, Path], seeds: Sequence[int]) -> dict[Place, Measured]:
    """Measure the teacher in each split's folder, which counts for all seeds."""
    asked = {
        number: measured_teacher(load_teacher(split / "models/teacher", 16), split / "data/prepared")
        for number, split in splits.items()
    }
    return {Place(row, number, seed): values for number, values in asked.items() for seed in seeds}


def measured_student(predictor: Predictor, prepared: Path) -> Measured:
    """Return what a classifier reaches on the test split of `prepared`, its temperature from the validation split;
    `UNCALIBRATED` is 1 where all is right there, so that none can be learned.
    """
    test, val = prepared / "test", prepared / "val"
    labels, images = labels_of(test), open_array(test / "images.npy")
    probs = predictor(images).probabilities
    chosen = choose(predictor(open_array(val / "images.npy")).probabilities, labels_of(val), True, 1.0)
    classes = predictor.classes
    known = once(lambda weights: labelled_measures(probs, labels, classes, chosen, weights), len(labels))
    values = {
        "macro_f1": known["test/macro_f1"],
        "loss": known["calibrated/loss"],
        "calibration_error": known["calibrated/ece"],
        UNCALIBRATED: float(chosen.temperature.how == SEPARATED),
    }
    masks = open_array(test / "masks.npy")
    marked = masked_in(test) & masks.any(axis=(1, 2))
    maps = activation_maps(predictor, images[marked], labels[marked]) if marked.any() else None
    if maps is not None:
        values["energy_inside"] = float(pointing(maps, masks[marked])["energy_inside"].mean())
    return values


def measured_teacher(teacher: Segmenter | Predictor, prepared: Path) -> Measured:
    """Return the macro-F1 of a teacher's own answers on the test split; {} of a teacher of no classes."""
    test, classes = prepared / "test", None
    images, labels = open_array(test / "images.npy"), labels_of(test)
    if isinstance(teacher, Predictor):
        classes, probs = teacher.classes, teacher(images).probabilities
    elif len(teacher.channels) > 1:
        classes, probs = teacher.channels, teacher.class_probs(images)
    return {"macro_f1": classification_scores(probs, labels, classes)["macro_f1"]} if classes else {}


def paired(
    trained: Mapping[Place, Measured], pairs: Sequence[tuple[str, str]], test_per_training_image: float
) -> list[Paired]:
    """Compare the rows of `pairs` (row, reference) by every measure that both have, over the places that both have.

    `test_per_training_image` is what `repeated.compare` needs. A difference in calibration error has neither interval
    nor p-value: few images make it too large, and the more so the less certain a model is, so that of two models which
    are calibrated alike the more certain one seems better.
    """
    found = []
    for row, reference in pairs:
        for measure in MEASURES:
            trainings = [
                Training(f"split {place.split}", f"seed {place.seed}", values[measure], other[measure])
                for place, values in sorted(trained.items(), key=lambda item: (item[0].split, item[0].seed))
                if place.row == row
                and measure in values
                and measure in (other := trained.get(Place(reference, place.split, place.seed), {}))
            ]
            if not trainings:
                continue
            comparison, ratio = compare(trainings, test_per_training_image), None
            if measure == "calibration_error":
                comparison = dataclasses.replace(comparison, low=math.nan, high=math.nan, p_value=math.nan)
            if measure == "macro_f1" and comparison.baseline[0] < 1:
                ratio = (1 - comparison.student[0]) / (1 - comparison.baseline[0])
            found.append(Paired(row, reference, measure, comparison, ratio))
    return found


def test_share(summaries: Sequence[Mapping[str, Any]]) -> float:
    """Return how many test photographs there are for one that is learned from, over the summary.json of all splits.

    Photographs whose label was set aside count as learned from: another split may test on them. Those that never had
    one do not: no split tests on them.
    """
    counts = [{side: sum(of.values()) for side, of in summary["counts"].items()} for summary in summaries]
    learned = [of["train"] + summary["label_set_aside"] for of, summary in zip(counts, summaries, strict=True)]
    return sum(of["test"] for of in counts) / sum(learned)


def means(trained: Mapping[Place, Measured], row: str) -> dict[str, float]:
    """Return the mean of each measure over a row's trainings, splits and seeds alike."""
    values = [measured for place, measured in trained.items() if place.row == row]
    names = [name for name in MEASURES if values and all(name in of for of in values)]
    return {name: float(np.mean([of[name] for of in values])) for name in names}
