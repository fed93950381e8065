"""SSIM of feature maps (Wang et al. 2004), its Gaussian window as one small matrix product along each axis.

The same values as pytorch-msssim with `data_range=1` (a test compares), whose depthwise convolutions cost more on a
processor than the rest of a distilling step. Only positions where the whole window fits count, as there.
"""

from functools import cache

import numpy as np
import torch

SIGMA = 1.5
LARGEST_WINDOW = 11
C1, C2 = 0.01**2, 0.03**2


@cache
def window_matrix(side: int, window: int) -> np.ndarray:
    """Return the (side − window + 1, side) matrix whose rows hold a normalised Gaussian of odd width `window`."""
    offsets = np.arange(window) - window // 2
    line = np.exp(-(offsets**2) / (2 * SIGMA**2))
    matrix = np.zeros((side - window + 1, side))
    for row in range(len(matrix)):
        matrix[row, row : row + window] = line / line.sum()
    return matrix


def window_matrices(height: int, width: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the matrices that blur along height and width: (height − window + 1, height) and the same for width.

    The window is odd and at most the smaller side, up to 11. Raises ValueError for maps under 3 × 3: structure needs
    neighbours.
    """
    side = min(height, width)
    if side < 3:
        raise ValueError(
            f"SSIM on feature maps of {height} × {width}: expected at least 3 × 3; "
            "use larger images, a level of smaller stride, or distill.terms.ssim: false"
        )
    window = min(LARGEST_WINDOW, side if side % 2 else side - 1)
    down, across = (torch.from_numpy(window_matrix(length, window)).to(like) for length in (height, width))
    return down, across


def structural_similarity(x: torch.Tensor, y: torch.Tensor, span: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Return the SSIM of (N, C, H, W) maps with values in [0, span], mean over images, channels, positions: scalar.

    `span` is one number, or one an image (N, 1, 1, 1): what pytorch-msssim calls data_range. Within [−1, 1] also where
    values lie so far outside of the span that rounding takes all digits from the variances. Raises ValueError for maps
    under 3 × 3.
    """
    down, across = window_matrices(*x.shape[2:], x)
    x, y = x.permute(0, 2, 3, 1), y.permute(0, 2, 3, 1)  # (N, H, W, C), how channels_last maps lie in memory

    def blur(z: torch.Tensor) -> torch.Tensor:
        z = (down @ z.flatten(2)).unflatten(2, z.shape[2:])  # (N, h, W, C)
        return across @ z  # (N, h, w, C)

    mean_x, mean_y = blur(x), blur(y)
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    c1, c2 = C1 * span**2, C2 * span**2
    luminance = (2 * product + c1) / (squares + c1)
    # Blurring is linear: the two variances are needed as a sum alone.
    variances = (blur(x * x + y * y) - squares).clamp_min(0)
    structure = (2 * (blur(x * y) - product) + c2) / (variances + c2)
    return (luminance * structure.clamp(-1, 1)).mean()
