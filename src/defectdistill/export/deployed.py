"""A student with all that stands around it as one module: photographs in, calibrated probabilities out."""

import torch
from torch import nn

from defectdistill.models.normalise import normalise
from defectdistill.models.resize import Resize
from defectdistill.models.students import Student


class Deployed(nn.Module):
    """uint8 RGB (N, H, W, 3) of any height and width → float32 (N, K), probabilities that sum to 1.

    What `Predictor` does with torch, NumPy and OpenCV, in torch alone, so that it can become one graph: resize,
    normalise, network, temperature, softmax.
    """

    def __init__(self, student: Student, size: int, resize_mode: str, temperature: float):
        super().__init__()
        self.resize = Resize(size, resize_mode)
        self.network = student.network
        self.temperature = temperature
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Classify a batch of images of one size."""
        logits = self.network(normalise(self.resize(images)))
        return torch.softmax(logits / self.temperature, dim=1)
