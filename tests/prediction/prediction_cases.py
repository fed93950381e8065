"""A tiny trained model with its calibration, and photographs of every kind to predict."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from defectdistill import checkpoint
from defectdistill.models.normalise import normalise
from defectdistill.models.students import build_student, classifier_config

CLASSES = ["bead", "arc_mark", "<b>soot</b>"]
SIDE = 32


def write_model(folder: Path, threshold: float | None = 0.5, resize: str = "squash", temperature: float = 1.5) -> None:
    """Write models/student, models/baseline and metrics/calibration.json of a small network that is not sure."""
    torch.manual_seed(0)
    network = build_student("small_cnn_3", 3)
    spread(network)
    for name in ("student", "baseline"):
        config = classifier_config("small_cnn_3", CLASSES, SIDE, resize)
        checkpoint.save(folder / "models" / name, network.state_dict(), config)
    (folder / "metrics").mkdir(exist_ok=True)
    chosen = {
        "student": {"temperature": temperature, "threshold": threshold},
        "baseline": {"temperature": 1, "threshold": 0.4},
    }
    (folder / "metrics/calibration.json").write_text(json.dumps(chosen))


@torch.no_grad()
def spread(network: torch.nn.Module) -> None:
    """Scale the last layer so that answers to different pictures differ: untrained it says the same of everything."""
    pictures = np.stack([picture(seed, SIDE, SIDE) for seed in range(32)])
    logits = network.eval()(normalise(torch.from_numpy(pictures)))
    head = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
    factor = 1.5 / logits.std(dim=0)
    head.weight.mul_(factor[:, None])
    head.bias.sub_(logits.mean(dim=0)).mul_(factor)


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Return uint8 RGB pixels that differ with `seed`: a patch of colour on noise of another colour."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 60, (height, width, 3)) + generator.integers(0, 90, 3)
    pixels[5:25, 5:25] = generator.integers(0, 256, 3)
    return pixels.astype(np.uint8)


def photograph(path: Path, seed: int, height: int = 40, width: int = 56, mode: str = "RGB", **options: object) -> Path:
    """Write a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed, height, width)).convert(mode).save(path, **options)
    return path


def mixed(folder: Path) -> None:
    """Write eight photographs of several kinds, in folders with the same names in them."""
    photograph(folder / "one.jpg", 0)
    photograph(folder / "two.PNG", 1, 300, 20)
    photograph(folder / "a/one.jpg", 2, mode="L")
    photograph(folder / 'a/ä ö, "x".bmp', 3)
    photograph(folder / "a/deep/er/one.tif", 4)
    photograph(folder / "b/one.jpg", 5, mode="CMYK")
    photograph(folder / "b/one.webp", 6, mode="RGBA")
    photograph(folder / "b/two.gif", 7, mode="P")
