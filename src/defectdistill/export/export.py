"""From a trained student to the files that are handed on: ONNX, its INT8 form if that is as good, how both agree."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from defectdistill.data.packed import labels_of, open_array
from defectdistill.data.tables import flatten
from defectdistill.evaluation.scores import classification_scores
from defectdistill.export.deployed import Deployed
from defectdistill.export.forms import FILES, FP32, INT8, SCORES
from defectdistill.export.onnx_file import to_bytes, to_onnx
from defectdistill.export.parity import (
    RESIZED_TOLERANCE,
    TOLERANCE,
    Reference,
    agreement,
    check,
    classify,
    photographs_agreement,
)
from defectdistill.export.quantise import quantise
from defectdistill.export.runtimes import RUNTIMES
from defectdistill.files import writing
from defectdistill.predict import Predictor


@dataclass(frozen=True)
class Split:
    """Prepared images uint8 (N, S, S, 3), N ≥ 1, and their class indices (N,)."""

    images: np.ndarray
    labels: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> "Split":
        """Open a folder of data/prepared; raises FileNotFoundError or ValueError naming a damaged file."""
        return cls(open_array(folder / "images.npy"), labels_of(folder))


@dataclass(frozen=True)
class Judges:
    """What a file is held against: torch's `predictor`, the splits `val` and `test`, and `photographs`, files."""

    predictor: Predictor
    val: Split
    test: Split
    photographs: Sequence[Path]
    threads: int


def export_student(
    output: Path, judges: Judges, what: str, notes: dict[str, Any], calibration: np.ndarray | None, max_f1_drop: float
) -> dict[str, Any]:
    """Write `student.onnx`, and `student_int8.onnx` if it is good enough, into `output`; return how they agree.

    `what` names the student in errors; `notes` go into the files. `calibration`, uint8 (N, S, S, 3), are training
    images that tell the ranges of the values; None: no INT8. It is kept if its macro-F1 on the validation split is
    lower by no more than `max_f1_drop`. The result is what `parity.json` holds: {fp32: …, int8: … or None}. Raises
    ValueError if the student cannot be exported, or the file differs from torch by more than rounding.
    """
    output.mkdir(parents=True, exist_ok=True)
    predictor = judges.predictor
    deployed = Deployed(predictor.student, predictor.size, predictor.resize_mode, predictor.temperature)
    model = to_onnx(deployed, what, notes)
    torch_says = Reference.of(predictor, judges.test.images, judges.photographs)
    fp32 = measured(save(model, output / FILES[FP32]), judges, torch_says)
    check(fp32["test"], TOLERANCE, "the test split")
    check(fp32["photographs"], RESIZED_TOLERANCE, "photographs at their full size")
    if calibration is None:
        return {FP32: fp32, INT8: None}
    file = save(quantise(model, calibration), output / FILES[INT8])
    int8 = measured(file, judges, torch_says)
    drop = fp32["scores"]["val"]["macro_f1"] - int8["scores"]["val"]["macro_f1"]
    int8 |= {
        "calibration_images": len(calibration),
        "val_f1_drop": drop,
        "max_f1_drop": max_f1_drop,
        "kept": drop <= max_f1_drop,
    }
    if not int8["kept"]:
        file.unlink()
    return {FP32: fp32, INT8: int8}


def measured(file: Path, judges: Judges, torch_says: Reference) -> dict[str, Any]:
    """Return the size and hash of a file, its agreement with torch by runtime, and its scores in ONNX Runtime."""
    runs = {name: load(file, judges.threads) for name, load in RUNTIMES.items()}
    probs = {name: classify(run, judges.test.images, f"{file.name} in {name}") for name, run in runs.items()}
    ours = {
        "val": classify(runs["onnxruntime"], judges.val.images, f"{file.name}, validation"),
        "test": probs["onnxruntime"],
    }
    splits = {"val": judges.val, "test": judges.test}
    return {
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),  # what `sha256sum` says
        "test": {name: agreement(torch_says.test, each) for name, each in probs.items()},
        "photographs": photographs_agreement(torch_says.photographs, runs, judges.photographs),
        "scores": {name: scores(ours[name], split.labels, judges.predictor.classes) for name, split in splits.items()},
    }


def scores(probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Return accuracy, macro-F1 and loss of float32 probabilities (N, K), whose sums are 1 but for rounding."""
    exact = probs.astype(np.float64)
    found = classification_scores(exact / exact.sum(axis=1, keepdims=True), labels, classes)
    return {name: found[name] for name in SCORES}


def flat_metrics(parity: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a parity as {part/part/name: value}, truth values as 0 and 1."""
    return {
        name: float(value) for name, value in flatten(parity, separator="/").items() if isinstance(value, int | float)
    }


def save(model: onnx.ModelProto, path: Path) -> Path:
    """Write a model and return its path."""
    with writing(path):
        path.write_bytes(to_bytes(model))
    return path
