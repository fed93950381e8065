"""A trained teacher as something to ask: where in these images is a defect?"""

from pathlib import Path

import numpy as np
import torch

from defectdistill import checkpoint
from defectdistill.model_json import Teacher, build, check_width, read_model_json
from defectdistill.models.normalise import normalise
from defectdistill.models.unet3plus import UNet3Plus


def defect_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, C, H, W) → (N, H, W), the highest over the channels: positive where any defect is predicted."""
    return logits.amax(dim=1)


def load_teacher(folder: Path) -> tuple[UNet3Plus, dict]:
    """Return the trained teacher of a checkpoint folder and the keywords that build it (without any weights).

    Raises FileNotFoundError or ValueError naming what does not fit.
    """
    config = read_model_json(folder, Teacher).unet3plus
    check_width(folder, config.width)
    network = build(folder, lambda: UNet3Plus(**config.model_dump()))
    return checkpoint.load_into(network, folder), config.model_dump()


class Segmenter:
    """A trained teacher: where it sees a defect."""

    def __init__(self, network: UNet3Plus, batch_size: int = 16):
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.batch_size = batch_size

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 16) -> "Segmenter":
        """Load a checkpoint folder of a teacher; raises FileNotFoundError or ValueError naming what does not fit."""
        return cls(load_teacher(Path(folder))[0], batch_size)

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, S, S, 3) → bool (N, S, S), true where a defect of any class has a probability over one half."""
        device = next(self.network.parameters()).device
        found = np.empty(images.shape[:3], dtype=bool)
        for start in range(0, len(images), self.batch_size):
            part = slice(start, start + self.batch_size)
            logits = self.network(normalise(torch.from_numpy(np.array(images[part])).to(device)))  # (B, C, S, S)
            found[part] = (defect_logits(logits) > 0).cpu().numpy()
        return found
