"""What `dvc repro` leaves, made in seconds: a student that knows colours, a baseline, a teacher, scores."""

import io
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from defectdistill import checkpoint
from defectdistill.data.tables import write_json, write_table
from defectdistill.models.normalise import normalise
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config

CLASSES = ["blue_stain", "green_stain", "red_stain"]
COLOURS = {"blue_stain": (40, 60, 220), "green_stain": (40, 200, 60), "red_stain": (220, 50, 40)}
SIDE = 32
BOX = (slice(8, 20), slice(12, 24))  # where the stain is, of 32 pixels


def photograph(label: str, seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Return a grey picture with a stain in the colour of its class, uint8 RGB (height, width, 3)."""
    image = np.random.default_rng(seed).integers(110, 150, (SIDE, SIDE, 1), dtype=np.uint8).repeat(3, axis=2)
    image[BOX] = COLOURS[label]
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST))


def encoded(image: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """Return the bytes of an image file; the options are Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def photographs(seeds: range) -> tuple[np.ndarray, np.ndarray]:
    """Return photographs of all classes, uint8 (N, S, S, 3), and their labels (N)."""
    pairs = [(photograph(name, 1000 * index + seed), index) for index, name in enumerate(CLASSES) for seed in seeds]
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def train(seed: int) -> torch.nn.Module:
    """Return a small classifier that tells the colours apart."""
    torch.manual_seed(seed)
    images, labels = photographs(range(6))
    batch, wanted = normalise(torch.from_numpy(images)), torch.from_numpy(labels)
    student = build_student("small_cnn_4", len(CLASSES))
    optimiser = torch.optim.Adam(student.parameters(), lr=0.02)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(student(batch), wanted).backward()
        optimiser.step()
    assert (student.eval()(batch).argmax(1) == wanted).all()
    return student


def make_project(folder: Path) -> Path:
    """Write models, metrics and prepared data into a folder."""
    for name, seed in (("student", 0), ("baseline", 1)):
        config = classifier_config("small_cnn_4", CLASSES, SIDE, "squash")
        checkpoint.save(folder / "models" / name, train(seed).state_dict(), config)
    torch.manual_seed(0)
    teacher = build_unet3plus("plain", 2, 1)
    checkpoint.save(
        folder / "models/teacher", teacher.state_dict(), unet3plus_config("plain", 2, ["defect"], SIDE, "squash")
    )
    for split, seeds in (("train", range(6)), ("val", range(6, 9))):
        side = folder / "data/prepared" / split
        side.mkdir(parents=True)
        images, labels = photographs(seeds)
        np.save(side / "images.npy", images)
        rows = [(f"{CLASSES[label]}/{split}{i}.png", label, i, "given", 0) for i, label in enumerate(labels)]
        write_table(side / "index.csv", ("name", "label", "group", "mask_source", "copy"), rows)
    write_json(folder / "data/prepared/summary.json", {"classes": CLASSES, "divided": "grouped"})
    (folder / "metrics").mkdir()
    chosen = {"temperature": 1.0, "threshold": 0.6, "how": "fitted", "target_accuracy": 0.95}
    write_json(folder / "metrics/calibration.json", {"student": chosen, "baseline": chosen | {"threshold": None}})
    scored = {
        "test": {"accuracy": 0.75, "images": 12},
        "intervals": {"test": {"accuracy": [0.5, 0.9]}},
        "selective": {"below_threshold": 0.5, "accuracy_above": 1.0},
    }
    data = {"synthetic": True, "test_images": 12, "test_images_with_a_copy": 0}
    write_json(folder / "metrics/evaluate.json", {"student": scored, "baseline": scored, "data": data})
    return folder


def change(path: Path, **changes) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
