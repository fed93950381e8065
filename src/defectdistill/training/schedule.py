"""The learning rate over the epochs: linear warm-up, then cosine annealing (cable paper, equations 9 and 10)."""

import math


def warmup_cosine(t: float, warmup: float, total: float, base_lr: float, min_lr: float) -> float:
    """Return the learning rate at epoch t.

    t < w: lr₀·t/w; then η_min + ½(lr₀ − η_min)(1 + cos(π (t−w)/(T−w))). The paper: w = 10, T = 100, lr₀ = 1e-4,
    η_min = 0. [choice] t may be fractional: one value a step, so that the first epoch is not spent at rate zero.
    Beyond T the rate stays at `min_lr`; raises ValueError unless 0 ≤ warmup < total.
    """
    if not 0 <= warmup < total:
        raise ValueError(f"warmup = {warmup} epochs of {total}: expected 0 ≤ warmup < total")
    if t < warmup:
        return base_lr * t / warmup
    progress = min((t - warmup) / (total - warmup), 1.0)
    return min_lr + 0.5 * (base_lr - min_lr) * (1.0 + math.cos(math.pi * progress))
