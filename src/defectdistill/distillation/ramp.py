"""The distilling weight λ over the epochs (cable paper, equation 4)."""


def quadratic_ramp(progress: float, start: float, end: float) -> float:
    """Return λ = start + (end − start)·progress², with progress = t / T in [0, 1]: slow at first, then fast.

    The paper uses start 0.1 and end 0.5 with t the epoch (from 0) and T the number of epochs. Raises ValueError for
    progress outside [0, 1].
    """
    if not 0.0 <= progress <= 1.0:
        raise ValueError(f"progress = {progress}: expected the share of the training that is done, from 0 to 1")
    return start + (end - start) * progress**2
