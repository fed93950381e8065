"""3×3 convolutions that mix the channels first: of a bilinearly enlarged map, and to one or a few channels.

U-Net3+ enlarges maps of hundreds of channels up to sixteenfold and convolves them to a few. Both steps are linear,
and the enlargement works along rows and columns apart: with E the enlargement along one axis and E₋₁, E₀, E₁ its rows
shifted by one place (zeros beyond the border), the result is Σ over the nine taps of E_dy · (x · W_dy,dx) · E_dxᵀ. The
channels are mixed on the small map; what remains are matrix products with thin constant matrices. The values are those
of `conv2d(interpolate(x))` in another order of summation; the enlarged map is never made.
"""

import torch
import torch.nn.functional as F


def enlargement_taps(small: int, large: int, like: torch.Tensor) -> torch.Tensor:
    """Return (3, large, small): the bilinear enlargement of a line, its rows shifted by −1, 0 and 1, zeros outside.

    Entry [d, p, q] is the weight of the small position q in the enlarged position p + d − 1. Exact in bfloat16 for
    factors up to 64.
    """
    identity = torch.eye(small, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)
    enlargement = F.interpolate(identity[None], size=large, mode="linear")[0].T  # (large, small)
    padded = F.pad(enlargement, (0, 0, 1, 1))
    return torch.stack([padded[tap : tap + large] for tap in range(3)]).to(like.dtype)


def convolve_enlarged(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, size: tuple[int, int]
) -> torch.Tensor:
    """Return conv2d(interpolate(x, size, mode='bilinear'), weight, bias, padding=1): (N, C, h, w) → (N, O, *size).

    `weight` is (O, C, 3, 3), `bias` (O,) or None; `size` is at least (h, w).
    """
    batch, _, height, width = x.shape
    channels = weight.shape[0]
    down = enlargement_taps(height, size[0], x)  # (3, H, h)
    across = enlargement_taps(width, size[1], x).permute(1, 2, 0).flatten(1)  # (W, w·3), in the order of `mixed`
    pixels = x.permute(0, 2, 3, 1)  # (N, h, w, C), how channels_last maps lie in memory
    kernels = weight.permute(2, 1, 3, 0).flatten(2)  # (dy, C, dx·O)
    rows = []
    for kernel in kernels:
        mixed = (pixels @ kernel).reshape(batch * height, width * 3, channels)
        rows.append((across @ mixed).view(batch, height, -1))  # (N, h, W·O)
    columns = torch.cat(rows, dim=1)  # (N, 3·h, W·O), rows of dy = −1 first
    enlarged = down.transpose(0, 1).flatten(1) @ columns  # (H, 3·h) @ (N, 3·h, W·O)
    result = enlarged.view(batch, size[0], size[1], channels)
    # The bias in the result's precision: under autocast a sum of both would go on in fp32, twice the memory traffic.
    return (result if bias is None else result + bias.to(result.dtype)).permute(0, 3, 1, 2)


def convolve_to_few(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return conv2d(x, weight, bias, padding=1) for a few output channels: (N, C, H, W) → (N, O, H, W).

    One matrix product to 9·O channels and a sum of shifted maps; libraries are made for many output channels and take
    several times as long for one.
    """
    height, width = x.shape[2:]
    mixed = x.permute(0, 2, 3, 1) @ weight.permute(1, 2, 3, 0).flatten(1)  # (N, H, W, dy·dx·O)
    padded = F.pad(mixed.unflatten(3, (3, 3, -1)), (0, 0, 0, 0, 0, 0, 1, 1, 1, 1))  # (N, H + 2, W + 2, 3, 3, O)
    taps = [padded[:, dy : dy + height, dx : dx + width, dy, dx] for dy in range(3) for dx in range(3)]
    return (sum(taps) + bias.to(x.dtype)).permute(0, 3, 1, 2)
