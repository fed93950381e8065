"""Made-up predictions and histories that the tests of figures and reports share."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from defectdistill.evaluation.gathered import Pixels, Predicted

NAMES = ["short_circuit", "fire_induced_short_circuit", "flame"]


def make_probs(generator: np.random.Generator, labels: np.ndarray, classes: int, sharpness: float) -> np.ndarray:
    logits = generator.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += 1.8
    exponentials = np.exp(sharpness * logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def make_predicted(
    generator: np.random.Generator, labels: np.ndarray, classes: list[str], folder: str, known: bool = True
) -> Predicted:
    """Return what a sharp student and a dull baseline say of some images, two photographs an object."""
    names = [f"{folder or classes[label]}/IMG_{index:04d}.jpg" for index, label in enumerate(labels)]
    probs = {
        model: make_probs(generator, labels, len(classes), s) for model, s in (("student", 1.6), ("baseline", 0.7))
    }
    return Predicted(probs, names, [f"object {index // 2}" for index in range(len(names))], labels if known else None)


def make_pixels(generator: np.random.Generator, images: int, side: int = 32) -> Pixels:
    """Return photographs of noise: every fourth without a mask, every fifth with an empty one, maps of 4 × 4."""
    masks = np.zeros((images, side, side), np.uint8)
    masks[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    masks[::5] = 0
    return Pixels(
        images=generator.integers(0, 256, (images, side, side, 3), dtype=np.uint8),
        masks=masks,
        masked=np.arange(images) % 4 != 3,
        found=np.roll(masks, 2, axis=1) > 0,
        maps={model: generator.random((images, 4, 4), dtype=np.float32) for model in ("student", "baseline")},
    )


def make_case(classes: list[str], images: int, unlabelled: int) -> dict[str, Any]:
    """Return the arguments of `evaluate_models` that concern predictions and data."""
    generator = np.random.default_rng(0)
    count = len(classes)
    labels = np.sort(np.arange(images) % count)
    hidden = np.arange(unlabelled) % count
    counts = {name: int((labels == index).sum()) for index, name in enumerate(classes)}
    return {
        "test": make_predicted(generator, labels, classes, ""),
        "validation": make_predicted(generator, labels, classes, ""),
        "unlabelled": make_predicted(generator, hidden, classes, "unlabelled", known=False),
        "pixels": make_pixels(generator, images),
        "data": {
            "source": "folder", "synthetic": False, "classes": classes, "size": 64, "resize": "squash",
            "divided": "grouped", "protocol": "stratified by class, 70 / 15 / 15",
            "groups": 90, "unlabelled": unlabelled, "rejected": 2,
            "counts": {"test": counts, "train": dict.fromkeys(classes, 20), "val": dict.fromkeys(classes, 4)},
            "masks": {
                "coding": "0/255", "given": 80, "normal": 4, "threshold": 7, "none": 3, "empty_on_defect": 1,
                "normal_classes": ["fine"], "unmarked_classes": [],
            },
            "near_duplicates": {
                "searched": True, "photographs": 5, "sets": 2, "largest": 3, "two_labels": 1, "even": 4,
                "doubtful": [f"x.png ({classes[0]}), y.png ({classes[-1]})"],
            },
        },
        "leaks": {"unlabelled": False, "learned_from": 24, "test": images, "even": 0, "pairs": [], "shared_groups": 0},
    }  # fmt: skip


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_histories(folder: Path, epochs: int = 12) -> dict[str, Path]:
    """Write the histories of teacher, student and baseline and return them by model."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = ("accuracy", "macro_f1", "macro_recall")
    rows = []
    for epoch in range(epochs):
        done = epoch / epochs
        row = {"epoch": epoch, "learning_rate": 1e-4 * (1 - done), "train_loss": 1.2 - done, "val_loss": 1.3 - done}
        row["kept"] = float(epoch == epochs - 1)
        rows.append(row | {f"{part}_{name}": 0.3 + 0.6 * done for part in ("train", "val") for name in scores})
    terms = {"lambda": 0.2, "train_mse": 0.7, "val_mse": 0.8, "train_cross_entropy": 0.4, "train_distillation": 1.2}
    of_teacher = {"train_loss": 0.5, "val_loss": 0.6, "val_dice": 0.7, "val_iou": 0.5}
    teacher = [{"epoch": epoch, "kept": float(epoch == 3), **of_teacher} for epoch in range(epochs)]
    return {
        "teacher": write_rows(folder / "teacher.csv", teacher),
        "student": write_rows(folder / "student.csv", [row | terms for row in rows]),
        "baseline": write_rows(folder / "baseline.csv", rows),
    }


def arguments(folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Return all keyword arguments of `evaluate_models` for a case; `folder` takes the histories."""
    return case | {
        "title": "A <b>title</b>",
        "histories": write_histories(folder),
        "weights": {"student": "5" * 64, "baseline": "b" * 64},
        "contact_sheets": [],
        "params": {"distill.beta": 0.5, "ingest.path": "<script>alert(1)</script>"},
        "reproduce": ["make repro"],
        "calibrate": True,
        "target_accuracy": 0.8,
        "resamples": 200,
        "seed": 0,
    }
