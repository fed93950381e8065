"""A trained teacher as something to ask: where in these images is a defect?"""

from pathlib import Path

import numpy as np
import torch

from defectdistill import checkpoint
from defectdistill.models.normalise import normalise
from defectdistill.models.unet3plus import UNet3Plus


def defect_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits (N, C, H, W) → (N, H, W), the highest over the channels: positive where any defect is predicted."""
    return logits.amax(dim=1)


class Segmenter:
    """A trained teacher: where it sees a defect."""

    def __init__(self, network: UNet3Plus, batch_size: int = 16):
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.batch_size = batch_size

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 16) -> "Segmenter":
        """Load a checkpoint folder of a teacher; raises FileNotFoundError or ValueError naming what does not fit."""
        network = UNet3Plus(**checkpoint.read_config(Path(folder))["unet3plus"])
        return cls(checkpoint.load_into(network, Path(folder)), batch_size)

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
