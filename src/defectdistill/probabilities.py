"""Class probabilities, checked, and how sure each image's are: its confidence and its entropy."""

import numpy as np

# A float16 softmax over a dozen classes misses one by about 1e-3; logits passed by mistake miss it by far more.
_SUM_TOLERANCE = 1e-2


def checked_probs(probs: np.ndarray) -> np.ndarray:
    """Return class probabilities as a float64 array (N, K), rows summing to 1.

    Raises ValueError if `probs` is not two-dimensional, has no class, is not finite, leaves [0, 1], or has a row
    whose sum is not 1 (the usual cause: logits).
    """
    probs = np.asarray(probs, dtype=np.float64)
    if probs.ndim != 2 or probs.shape[1] == 0:
        raise ValueError(f"probs has shape {probs.shape}; expected (images, classes)")
    if not np.isfinite(probs).all() or (probs < 0).any() or (probs > 1).any():
        raise ValueError(
            f"probs ranges from {probs.min()} to {probs.max()}; expected finite values in [0, 1]: apply the softmax"
        )
    sums = probs.sum(axis=1)
    if (np.abs(sums - 1) > _SUM_TOLERANCE).any():
        row = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(f"row {row} of probs sums to {sums[row]:.6g}; expected 1: apply the softmax over the classes")
    return probs


def confidence(probs: np.ndarray) -> np.ndarray:
    """Return each image's largest class probability: (N, K) in [0, 1] → float64 (N,) in [1/K, 1]."""
    return checked_probs(probs).max(axis=1)


def entropy(probs: np.ndarray) -> np.ndarray:
    """Return each image's entropy in nats, 0·ln 0 = 0: (N, K) in [0, 1] → float64 (N,) in [0, ln K]."""
    probs = checked_probs(probs)
    # "0 −" instead of a sign: a certain prediction has entropy 0.0, not -0.0.
    return 0.0 - (probs * np.log(np.where(probs > 0, probs, 1.0))).sum(axis=1)
