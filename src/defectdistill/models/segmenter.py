"""A trained segmentation network as something to ask: where in these images is a defect, and of which class?"""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch

from defectdistill import checkpoint
from defectdistill.model_forms import ResUNet as ResUNetJson
from defectdistill.model_forms import UNet3Plus as UNet3PlusJson
from defectdistill.model_json import build, check_width, read_model_json
from defectdistill.models.class_map import class_evidence, defect_logits, with_background
from defectdistill.models.normalise import normalise
from defectdistill.models.resunet import ResUNet
from defectdistill.models.unet3plus import UNet3Plus


def load_segmentation(folder: Path) -> tuple[UNet3Plus | ResUNet, UNet3PlusJson | ResUNetJson]:
    """Return the trained segmentation network of a checkpoint folder, teacher or student, and its model.json.

    Raises FileNotFoundError or ValueError naming what does not fit.
    """
    if ResUNetJson.key in checkpoint.read_config(folder):
        config = read_model_json(folder, ResUNetJson)
        network = build(folder, lambda: ResUNet(**config.resunet.model_dump()))
        return checkpoint.load_into(network, folder), config
    config = read_model_json(folder, UNet3PlusJson)
    check_width(folder, config.unet3plus.width)
    network = build(folder, lambda: UNet3Plus(**config.unet3plus.model_dump()))
    return checkpoint.load_into(network, folder), config


class Segmenter:
    """A trained network: where it sees a defect, and of which class. `channels` names what its outputs mark, `normal`
    those of them that stand for a class without defects.
    """

    def __init__(
        self, network: UNet3Plus | ResUNet, channels: list[str], normal: Collection[str] = (), batch_size: int = 16
    ):
        self.channels = channels
        self.normal = [channels.index(name) for name in normal]
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.batch_size = batch_size

    @classmethod
    def load(cls, folder: str | Path, batch_size: int = 16) -> "Segmenter":
        """Load a checkpoint folder; raises FileNotFoundError or ValueError naming what does not fit."""
        network, config = load_segmentation(Path(folder))
        return cls(network, config.channels, config.normal, batch_size)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, S, S, 3) → bool (N, S, S), true where a defect of any class has a probability over one half."""
        return np.concatenate(
            [(defect_logits(logits, self.normal) > 0).cpu().numpy() for logits in self._logits(images)]
        )

    def label_maps(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB (N, S, S, 3) → uint8 (N, S, S): 1 + the most probable channel, 0 background or normal."""
        maps = [with_background(logits).argmax(dim=1).to(torch.uint8).cpu().numpy() for logits in self._logits(images)]
        found = np.concatenate(maps)
        found[np.isin(found, [channel + 1 for channel in self.normal])] = 0
        return found

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
