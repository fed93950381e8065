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
    down = enlargement_taps(height, size[0], x).transpose(0, 1).flatten(1)  # (H, 3·h), in the order of `columns`
    across = enlargement_taps(width, size[1], x).transpose(1, 2).flatten(0, 1)  # (3·w, W), in the order of `mixed`
    pixels = x.permute(0, 2, 3, 1)  # (N, h, w, C), how channels_last maps lie in memory
    mixed = pixels @ weight.permute(1, 2, 0, 3).flatten(1)  # (N, h, w, dy·O·dx)
    mixed = mixed.view(batch, height, width, 3, channels, 3).permute(0, 3, 1, 4, 5, 2)  # (N, dy, h, O, dx, w)
    # The constant matrix on the right: one product. On the left it would be copied for each row of the maps.
    columns = (mixed.reshape(-1, 3 * width) @ across).view(batch, 3 * height, -1)  # (N, dy·h, O·W)
    enlarged = (down @ columns).view(batch, size[0], channels, size[1])  # (N, H, O, W)
    result = enlarged.permute(0, 2, 1, 3).contiguous(memory_format=torch.channels_last)
    # The bias in the result's precision: under autocast a sum of both would go on in fp32, twice the memory traffic.
    return result if bias is None else result + bias.to(result.dtype).view(-1, 1, 1)


def convolve_to_few(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return conv2d(x, weight, bias, padding=1) for a few output channels: (N, C, H, W) → (N, O, H, W).

    One matrix product to 9·O channels and a sum of shifted maps; libraries are made for many output channels and take
    several times as long for one.
    """
    mixed = x.permute(0, 2, 3, 1) @ weight.permute(1, 3, 2, 0).flatten(1)  # (N, H, W, dx·dy·O)
    rows = sum_of_shifted(mixed.unflatten(3, (3, 3, -1)).unbind(3), 2)  # (N, H, W, dy, O)
    return (sum_of_shifted(rows.unbind(3), 1) + bias.to(x.dtype)).permute(0, 3, 1, 2)


def sum_of_shifted(maps: tuple[torch.Tensor, torch.Tensor, torch.Tensor], axis: int) -> torch.Tensor:
    """Return the sum of three maps along an axis shifted by +1, 0 and −1 places, zeros coming in."""
    before, middle, after = maps
    others = (0, 0) * (middle.ndim - 1 - axis)  # F.pad counts from the last axis
    return F.pad(before, (*others, 1, -1)) + middle + F.pad(after, (*others, -1, 1))
