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

BLOCK_BYTES = 4 * 2**20  # of one map in fp32; measured on processors with 1 MB of L2 cache a core
SHORTEST = 1e-8  # length of a channel vector that is divided by


def block_loss(
    student: torch.Tensor, teacher: torch.Tensor, beta: float, gamma: float, terms: tuple[str, ...]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return the raw terms with their `total`, and the total's gradient for `student`; all maps (N, H, W, C), fp32."""
    images, height, width, channels = student.shape
    low, high = (extreme.view(-1, 1, 1, 1) for extreme in (teacher.flatten(1).amin(1), teacher.flatten(1).amax(1)))
    # One buffer, so that two matrix products blur all four.
    stacked = student.new_empty((4, images, height, width, channels))
    x, y, p, q = stacked.unbind()
    torch.sub(student, low, out=x)
    torch.sub(teacher, low, out=y)
    values: dict[str, torch.Tensor] = {}
    of_x = student.new_zeros((images, height, width, 1))  # what x and y are multiplied by in the gradient
    of_y, constant = torch.zeros_like(of_x), torch.zeros_like(of_x)
    if "mse" in terms:
        torch.sub(student, teacher, out=q)  # free as yet
        values["mse"] = q.view(-1).dot(q.view(-1)) / student.numel()
        of_x += 2 / student.numel()
        of_y -= 2 / student.numel()
    if "cosine" in terms:
        own, other = (torch.linalg.vector_norm(s, dim=3, keepdim=True).clamp_(SHORTEST) for s in (student, teacher))
        lengths = own * other
        cosine = (torch.linalg.vecdot(student, teacher).unsqueeze(3) / lengths).clamp_(-1, 1)  # rounding may leave it
        values["cosine"] = 1.0 - cosine.mean()
        to_teacher, to_student = -beta / (cosine.numel() * lengths), beta / cosine.numel() * cosine / own**2
        of_x += to_student
        of_y += to_teacher
        constant += low * (to_student + to_teacher)
    if "ssim" in terms:
        torch.mul(x, y, out=p)
        torch.mul(x, x, out=q)
        q.addcmul_(y, y)
        value, of_mean, of_product, of_square = structure(stacked, (high - low).clamp_min(1e-6))
        values["ssim"] = 1.0 - value
        gradient = of_square.mul_(-2 * gamma).add_(of_x).mul_(x)
        gradient.addcmul_(of_product.mul_(-gamma).add_(of_y), y).add_(of_mean, alpha=-gamma).add_(constant)
    else:
        gradient = x.mul_(of_x).addcmul_(y, of_y).add_(constant)
    weights = {"mse": 1.0, "cosine": beta, "ssim": gamma}
    return values | {"total": sum(weights[name] * value for name, value in values.items())}, gradient


def structure(stacked: torch.Tensor, span: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return SSIM of x and y in [0, span], and its gradients for x (p and q fixed), p and q, (N, H, W, C) each.

    `stacked` is (4, N, H, W, C): x, y, p = x·y, q = x² + y².
    """
    _, images, height, width, channels = stacked.shape
    down, across = window_matrices(height, width, stacked)
    rows = down @ stacked.view(4 * images, height, -1)  # (4·N, h, W·C)
    small = across @ rows.view(-1, width, channels)  # (4·N·h, w, C)
    x, y, p, q = small.view(4, images, len(down), len(across), channels).unbind()
    c1, c2 = C1 * span**2, C2 * span**2
    product, squares = x * y, x * x + y * y
    variances = q.sub_(squares)
    known = variances >= 0  # elsewhere, and where the contrast leaves [−1, 1], rounding has taken all digits
    luminance_below, structure_below = squares + c1, variances.clamp_min_(0).add_(c2)
    luminance = (2 * product).add_(c1).div_(luminance_below)
    contrast = p.sub_(product).mul_(2).add_(c2).div_(structure_below)
    inside = contrast.abs() <= 1
    contrast.clamp_(-1, 1)
    similarity = luminance * contrast
    back = torch.empty_like(small).view(4, *x.shape)[:3]
    of_mean, of_product, of_square = back.unbind()
    count = similarity.numel()
    torch.div(luminance, structure_below, out=of_product)
    of_product.mul_(2 / count).mul_(inside)
    torch.div(similarity, structure_below, out=of_square)
    of_square.div_(-count).mul_(inside.logical_and_(known))
    # Of the mean: through the luminance, and through the two products that the variances lose.
    first = contrast.div_(luminance_below)
    torch.mul(first, y.sub(luminance * x).mul_(2 / count), out=of_mean)
    of_mean.sub_(of_product * y).sub_(of_square * x, alpha=2)
    rows = across.T @ back.reshape(-1, len(across), channels)  # (3·N·h, W, C)
    full = down.T @ rows.view(3 * images, len(down), -1)
    return similarity.mean(), *full.view(3, images, height, width, channels).unbind()


def as_block(maps: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) → (N, H, W, C) contiguous, in fp32 where it was in half precision."""
    half = maps.dtype in (torch.float16, torch.bfloat16)
    return maps.permute(0, 2, 3, 1).to(torch.float32 if half else maps.dtype).contiguous()


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
            blocks = [as_block(maps[part]) for maps in (student, teacher)]
            with torch.autocast(student.device.type, enabled=False):  # it would take SSIM's products to bf16
                values, block_gradient = block_loss(*blocks, beta, gamma, terms)
            share = len(blocks[0]) / images
            gradient[part] = block_gradient.mul_(share).permute(0, 3, 1, 2)
            sums = sums + share * torch.stack([values["total"], *(values[term] for term in terms)])
        ctx.save_for_backward(gradient)
        total, raw = sums[0].clone(), sums[1:].clone()
        ctx.mark_non_differentiable(raw)
        return total, raw

    @staticmethod
    def backward(ctx, factor, _):
        """Scale the gradient that is known already."""
        (gradient,) = ctx.saved_tensors
        return gradient * factor.to(gradient.dtype), None, None, None, None
