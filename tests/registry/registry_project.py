"""A folder as a run of the pipeline leaves it, made in a second: photographs, splits, student, scores, dvc.lock."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from repository import PROJECT, YAML_12, set_params

from defectdistill import checkpoint
from defectdistill.data.images import decode_image
from defectdistill.data.packed import labels_of, read_index
from defectdistill.data.preprocess import resize
from defectdistill.data.tables import read_table, write_json, write_table
from defectdistill.evaluation.gathered import Predicted
from defectdistill.evaluation.measures import choose
from defectdistill.evaluation.results import evaluation_results
from defectdistill.models.students import build_student, classifier_config
from defectdistill.predict import Predictor

CLASSES = ["crack", "dent & dust", "flame"]
SIZE = 64
# Photographs by split and class. A student that always says class k is right on 4, 2 or 1 of the 7 test photographs.
COUNTS = {"train": (4, 2, 2), "val": (1, 1, 1), "test": (4, 2, 1)}
MODES = ("RGB", "L", "RGBA")


def make_data(folder: Path) -> None:
    """Write data/raw and the indices of data/prepared: photographs of many sizes and modes."""
    rng = np.random.default_rng(0)
    (folder / "data/raw/images").mkdir(parents=True)
    rows, sides = [], {}
    for side, counts in COUNTS.items():
        sides[side] = []
        for label, count in enumerate(counts):
            for _ in range(count):
                number = len(rows)
                pixels = rng.integers(0, 256, (40 + 3 * number, 60 + number, 3), dtype=np.uint8)
                image = f"images/{number:05}.png"
                Image.fromarray(pixels).convert(MODES[number % 3]).save(folder / "data/raw" / image)
                name = f"{CLASSES[label]}/{number}.png"
                rows.append((name, CLASSES[label], name, image))
                sides[side].append((name, label, name))
    write_table(folder / "data/raw/index.csv", ("name", "label", "group", "image"), rows)
    for side, entries in sides.items():
        write_side(folder, side, entries)
    write_unlabelled(folder, [])
    write_json(folder / "data/prepared/summary.json", {"classes": CLASSES, "divided": "grouped"})
    write_params(folder)


def write_side(folder: Path, side: str, entries: list[tuple], size: int = SIZE) -> None:
    """Write the index and the images of a split, as `prepare` does; entries are (name, label, group)."""
    target = folder / "data/prepared" / side
    target.mkdir(parents=True, exist_ok=True)
    write_table(target / "index.csv", ("name", "label", "group"), entries)
    originals = {row["name"]: row["image"] for row in read_table(folder / "data/raw/index.csv")}
    images = [decode_image((folder / "data/raw" / originals[name]).read_bytes()) for name, *_ in entries]
    np.save(target / "images.npy", np.stack([resize(image, size, "pad") for image in images]))


def write_unlabelled(folder: Path, entries: list[tuple]) -> None:
    """Write the index of the photographs without a label; entries are (name, group, held_out)."""
    (folder / "data/prepared/unlabelled").mkdir(exist_ok=True)
    write_table(folder / "data/prepared/unlabelled/index.csv", ("name", "group", "held_out"), entries)


def entries_of(folder: Path, side: str) -> list[tuple]:
    """Return the rows of a split in the form that `write_side` takes."""
    return [(row["name"], int(row["label"]), row["group"]) for row in read_index(folder / "data/prepared" / side)]


def write_params(folder: Path, **registry: object) -> None:
    """Copy params.yaml and constraints.txt, with other settings of the registry; by default the score is accuracy."""
    for name in ("params.yaml", "constraints.txt"):
        shutil.copy(PROJECT / name, folder)
    changes = {"metric": "test/accuracy", "min_gain": 0.0} | registry
    set_params(folder, {f"registry.{key}": value for key, value in changes.items()} | {"compute.threads": 1})


def write_student(
    folder: Path, favourite: int, certainty: float = 20.0, classes: list[str] = CLASSES, size: int = SIZE
) -> None:
    """Write an untrained student that says class `favourite` of every photograph, and what `evaluate` says of it."""
    torch.manual_seed(0)
    student = build_student("shufflenet_v2_x0_5", len(classes)).eval()
    with torch.no_grad():
        student.network.fc.bias[favourite] += certainty
    config = classifier_config("shufflenet_v2_x0_5", classes, size, "pad")
    checkpoint.save(folder / "models/student", student.state_dict(), config)


def evaluate(folder: Path, **params: object) -> None:
    """Write metrics/evaluate.json of the student from the prepared arrays, and the dvc.lock that names it."""
    test = folder / "data/prepared/test"
    probs = Predictor.load(folder / "models/student")(np.load(test / "images.npy")).probabilities
    rows = [row["name"] for row in read_index(test)]
    both = dict.fromkeys(("student", "baseline"), probs)
    predicted = Predicted(both, rows, rows, labels_of(test))
    nothing = Predicted(dict.fromkeys(both, probs[:0]), [], [])
    chosen = {model: choose(probs, predicted.labels, calibrate=True, target=0.95) for model in both}
    results = evaluation_results(predicted, nothing, None, chosen, CLASSES, resamples=100, seed=0)
    (folder / "metrics/runs").mkdir(parents=True, exist_ok=True)
    file = folder / "metrics/evaluate.json"
    file.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n")
    write_lock(folder, {"prepare": {"image_size": SIZE}, "distill": {"beta": 0.5, "method": "feature_fusion"}} | params)


def write_lock(folder: Path, params: dict) -> None:
    """Write the part of dvc.lock that says with which parameters evaluate.json was made."""
    digest = hashlib.md5((folder / "metrics/evaluate.json").read_bytes()).hexdigest()
    outs = [{"path": "metrics/evaluate.json", "hash": "md5", "md5": digest}]
    stages = {"evaluate": {"cmd": "python stages/evaluate.py", "params": {"params.yaml": params}, "outs": outs}}
    YAML_12.dump({"schema": "2.0", "stages": stages}, folder / "dvc.lock")
