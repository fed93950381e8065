"""A trained teacher as something to ask: where in these images is a defect?"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from defectdistill import checkpoint
from defectdistill.model_json import Teacher, build, check_width, read_model_json
from defectdistill.models.class_map import class_evidence, defect_logits
from defectdistill.models.normalise import normalise
from defectdistill.models.unet3plus import UNet3Plus


def load_teacher(folder: Path) -> tuple[UNet3Plus, Teacher]:
    """Return the trained teacher of a checkpoint folder and its model.json.

    Raises FileNotFoundError or ValueError naming what does not fit.
    """
    config = read_model_json(folder, Teacher)
    check_width(folder, config.unet3plus.width)
    network = build(folder, lambda: UNet3Plus(**config.unet3plus.model_dump()))
    return checkpoint.load_into(network, folder), config


class Segmenter:
    """A trained teacher: where it sees a defect, and of which class. `channels` names what its outputs mark."""

    def __init__(self, network: UNet3Plus, channels: list[str], batch_size: int = 16):
        self.channels = channels
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.batch_size = batch_size

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 16) -> "Segmenter":
        """Load a checkpoint folder of a teacher; raises FileNotFoundError or ValueError naming what does not fit."""
        network, config = load_teacher(Path(folder))
        return cls(network, config.channels, batch_size)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, S, S, 3) → bool (N, S, S), true where a defect of any class has a probability over one half."""
        return np.concatenate([(defect_logits(logits) > 0).cpu().numpy() for logits in self._logits(images)])

    def class_probs(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, S, S, 3) → float32 (N, C): its answer for each image where its channels are classes."""
        answers = [class_evidence(logits).softmax(dim=1).cpu().numpy() for logits in self._logits(images)]
        return np.concatenate(answers).astype(np.float32)

    @torch.inference_mode()
    def _logits(self, images: np.ndarray) -> Iterator[torch.Tensor]:
        """Yield logits (B, C, S, S), batch by batch, at least one."""
        device = next(self.network.parameters()).device
        for start in range(0, max(1, len(images)), self.batch_size):
            batch = np.array(images[start : start + self.batch_size])
            yield self.network(normalise(torch.from_numpy(batch).to(device)))
