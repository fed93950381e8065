"""The fused feature loss with its gradient, written out and computed a few images at a time.

`feature_fusion.fusion_loss` says what is computed; a test holds values and gradients of this module against it. Its
dozens of passes over maps of tens of megabytes took longer than the student: here a block of images goes through a
third of the passes while it is in cache, forwards and backwards at once. The gradient of the total is known up to the
factor that the backward pass brings later.

SSIM follows from the blurred x = s − low, y = t − low (low: the teacher's minimum), p = x·y and q = x² + y². MSE and
cosine take their sums from s and t themselves: to undo the shift in x and y would leave no digit of a vector that is
short beside it.
"""

import torch

from defectdistill.distillation.structural_similarity import C1, C2, window_matrices

BLOCK_BYTES = 4 * 2**20  # of one map in fp32; measured on processors with 1 and 2 MB of L2 cache a core
SHORTEST = 1e-8  # length of a channel vector that is divided by


def block_loss(
    student: torch.Tensor, teacher: torch.Tensor, images: int, beta: float, gamma: float, terms: tuple[str, ...]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return a block's part of the raw terms with their `total`, and the total's gradient for `student`.

    Both maps are (N, H, W, C); computed in fp32 at least. The terms are means over a batch of `images`, to which the
    parts of its blocks add up.
    """
    block, height, width, channels = student.shape
    stacked = with_room(student, teacher)
    x, y, p, q = stacked.unbind()
    low, high = (extreme.view(-1, 1, 1, 1) for extreme in (y.flatten(1).amin(1), y.flatten(1).amax(1)))
    values: dict[str, torch.Tensor] = {}
    of_x = x.new_zeros((block, height, width, 1))  # what x and y are multiplied by in the gradient
    of_y, constant = torch.zeros_like(of_x), torch.zeros_like(of_x)
    pixels = images * height * width
    # The first two terms before the shift; p and q are free as yet.
    if "mse" in terms:
        torch.sub(x, y, out=q)
        values["mse"] = q.view(-1).dot(q.view(-1)) / (pixels * channels)
        of_x += 2 / (pixels * channels)
        of_y -= 2 / (pixels * channels)
    if "cosine" in terms:
        values["cosine"], to_student, to_teacher = cosine_distance(x, y, p, pixels)
        of_x += beta * to_student
        of_y += beta * to_teacher
        constant += beta * low * (to_student + to_teacher)
    x.sub_(low)
    y.sub_(low)
    if "ssim" in terms:
        torch.mul(x, y, out=p)
        torch.mul(x, x, out=q)
        q.addcmul_(y, y)
        values["ssim"], of_mean, of_product, of_square = structure(stacked, (high - low).clamp_min(1e-6), images, gamma)
        gradient = torch.addcmul(constant, of_square.add_(of_x), x)
        gradient.addcmul_(of_product.add_(of_y), y).add_(of_mean)
    else:
        gradient = x.mul_(of_x).addcmul_(y, of_y).add_(constant)
    weights = {"mse": 1.0, "cosine": beta, "ssim": gamma}
    return values | {"total": sum(weights[name] * value for name, value in values.items())}, gradient


def with_room(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return both (N, H, W, C) in fp32 at least, with room for their product and squares: (4, N, H, W, C).

    One buffer, so that two matrix products blur all four.
    """
    kind = torch.promote_types(student.dtype, torch.float32)
    stacked = torch.empty((4, *student.shape), dtype=kind, device=student.device)
    stacked[0].copy_(student)
    stacked[1].copy_(teacher)
    return stacked


def cosine_distance(
    student: torch.Tensor, teacher: torch.Tensor, free: torch.Tensor, pixels: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return Σ(1 − cosine) / `pixels` of the channel vectors of (N, H, W, C) maps, and what makes its gradient.

    The gradient for the student is a·student + b·teacher; a and b follow the value, (N, H, W, 1) each. `free` is
    another such map, which is written over.
    """
    own, other = (torch.linalg.vector_norm(z, dim=3, keepdim=True).clamp_(SHORTEST) for z in (student, teacher))
    lengths = own * other
    inner = torch.mul(student, teacher, out=free).sum(dim=3, keepdim=True)
    cosine = (inner / lengths).clamp_(-1, 1)  # rounding may leave it
    return (1.0 - cosine).sum() / pixels, cosine / (pixels * own**2), -1 / (pixels * lengths)


def structure(stacked: torch.Tensor, span: torch.Tensor, images: int, gamma: float) -> tuple[torch.Tensor, ...]:
    """Return a block's part of 1 − SSIM of x and y in [0, span], and what makes the gradient of γ·(1 − SSIM) for x.

    `stacked` is (4, N, H, W, C): x, y, p = x·y, q = x² + y². That gradient is a + b·y + c·x; a, b and c follow the
    value, (N, H, W, C) each.
    """
    _, block, height, width, channels = stacked.shape
    down, across = window_matrices(height, width, stacked)
    rows = down @ stacked.view(4 * block, height, -1)  # (4·N, h, W·C)
    small = across @ rows.view(-1, width, channels)  # (4·N·h, w, C)
    x, y, p, q = small.view(4, block, len(down), len(across), channels).unbind()
    count = x[0].numel()  # of an image
    c1, c2 = C1 * span**2, C2 * span**2
    product, squares = x * y, (x * x).addcmul_(y, y)
    variances = q.sub_(squares)
    # 1 or 0; where it is 0, and where the contrast leaves [−1, 1], rounding has taken all digits.
    known = torch.ge(variances, 0, out=torch.empty_like(p))
    luminance_below, structure_below = squares.add_(c1), variances.clamp_min_(0).add_(c2)
    luminance = torch.add(c1, product, alpha=2).div_(luminance_below)
    contrast = torch.add(c2, p.sub_(product), alpha=2).div_(structure_below)
    inside = contrast.abs().le_(1)
    contrast.clamp_(-1, 1)
    value = block / images - luminance.view(-1).dot(contrast.view(-1)) / (images * count)
    back = torch.empty_like(small).view(4, *x.shape)[:3]
    of_mean, of_product, of_square = back.unbind()
    torch.div(luminance, structure_below, out=of_product).mul_(inside)
    torch.mul(of_product, contrast, out=of_square).mul_(known).neg_()
    # Of the mean: through the luminance, and through the two products that the variances lose.
    torch.addcmul(y, luminance, x, value=-1, out=of_mean).mul_(contrast.div_(luminance_below))
    of_mean.addcmul_(of_product, y, value=-1).addcmul_(of_square, x, value=-1)
    factor = -2 * gamma / (images * count)
    rows = (factor * across.T) @ back.reshape(-1, len(across), channels)  # (3·N·h, W, C)
    full = down.T @ rows.view(3 * block, len(down), -1)
    return value, *full.view(3, block, height, width, channels).unbind()


class BlockwiseFusion(torch.autograd.Function):
    """(student, teacher, beta, gamma, terms) → (total, raw terms stacked in the order of `terms`, without gradient)."""

    @staticmethod
    def forward(ctx, student, teacher, beta, gamma, terms):
        """Go through the images (N, C, H, W) block by block; on a GPU the block is the whole batch."""
        if student.shape != teacher.shape:
            raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)} differ: align them")
        images = len(student)
        bytes_an_image = 4 * student[0].numel()
        rows = images if student.device.type != "cpu" else max(1, min(images, BLOCK_BYTES // bytes_an_image))
        gradient = torch.empty_like(student)
        sums = 0.0
        for start in range(0, images, rows):
            part = slice(start, start + rows)
            blocks = [maps[part].permute(0, 2, 3, 1) for maps in (student, teacher)]
            with torch.autocast(student.device.type, enabled=False):  # it would take SSIM's products to bf16
                values, block_gradient = block_loss(*blocks, images, beta, gamma, terms)
            gradient[part] = block_gradient.permute(0, 3, 1, 2)
            sums = sums + torch.stack([values["total"], *(values[term] for term in terms)])
        ctx.save_for_backward(gradient)
        total, raw = sums[0].clone(), sums[1:].clone()
        ctx.mark_non_differentiable(raw)
        return total, raw

    @staticmethod
    def backward(ctx, factor, _):
        """Scale the gradient that is known already."""
        (gradient,) = ctx.saved_tensors
        return gradient * factor.to(gradient.dtype), None, None, None, None
