"""The resize of `data/preprocess.py` in torch, for graphs that must bring photographs of any size to S × S themselves.

Area averaging and linear interpolation are both linear and separable, so each axis is one matrix product, whose matrix
follows from the lengths alone. Against OpenCV a value differs by one grey level at most, where it lies close to a half:
OpenCV interpolates in fixed point.
"""

import torch
from torch import nn

from defectdistill.data.preprocess import MODES, PAD_COLOUR

JUST_ABOVE_HALF = 1e-3  # what lifts a half, and nothing else, over the border of rounding


class Resize(nn.Module):
    """uint8 RGB (N, H, W, 3) of any height and width → float32 (N, S, S, 3), whole numbers in 0…255."""

    def __init__(self, size: int, mode: str):
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"resize mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        self.size, self.mode = size, mode

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Resize a batch of images of one size."""
        height, width = images.shape[1], images.shape[2]
        # As tensors: a graph that was traced must compute them anew for every photograph.
        sides = torch.stack(
            [torch.full((), side, dtype=torch.float32, device=images.device) for side in (height, width)]
        )
        rows, columns = self._content(sides)
        down, inside_rows = axis_matrix(height, rows, self.size)
        across, inside_columns = axis_matrix(width, columns, self.size)
        # The width first: the larger part of the work, as one product.
        resized = down @ (images.permute(0, 3, 1, 2).float() @ across.T)  # (N,3,S,S)
        # Where both axes shrink to exactly one half, OpenCV averages whole numbers and rounds a half up, else to even.
        halved = ((sides[0] == 2 * rows) & (sides[1] == 2 * columns)).float()
        resized = torch.round(resized + JUST_ABOVE_HALF * halved).permute(0, 2, 3, 1)
        if self.mode == "squash":
            return resized
        border = torch.tensor(PAD_COLOUR, dtype=torch.float32, device=images.device)
        return resized + (1 - inside_rows * inside_columns.T)[:, :, None] * border

    def _content(self, sides: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return how many rows and columns of the result show the image, as whole float32 (), as `content_box` does."""
        if self.mode == "squash":
            return torch.full_like(sides[0], self.size), torch.full_like(sides[1], self.size)
        exact = sides.double()  # as Python computes it: a half must fall to the same side
        content = torch.round(exact * (self.size / exact.amax(dim=0))).clamp_min(1).float()
        return content[0], content[1]


def axis_matrix(length: int, content: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the float32 (size, length) matrix that resizes an axis to its `content` positions, centred in `size`.

    Averages over the area where the axis shrinks, interpolates linearly between pixel centres where it grows; rows
    outside the content are zero. The second result is 1 inside and 0 outside, float32 (size, 1).
    """
    step = length / content
    rows = torch.arange(size, device=content.device)[:, None] - torch.floor((size - content) / 2)
    columns = torch.arange(length, device=content.device)[None]
    overlap = torch.minimum((rows + 1) * step, columns + 1) - torch.maximum(rows * step, columns)
    centre = ((rows + 0.5) * step - 0.5).clamp_min(0).minimum(length - torch.ones_like(content))
    nearness = 1 - (centre - columns).abs()
    inside = ((rows >= 0) & (rows < content)).float()
    return torch.where(step > 1, overlap.clamp_min(0) / step, nearness.clamp_min(0)) * inside, inside
