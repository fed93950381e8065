"""Whether a network takes images of a size: some have windows or poolings that do not divide every one."""

import torch
from torch import nn


def check_image_size(network: nn.Module, side: int, owner: str) -> None:
    """Run `network` in evaluation mode, in which it stays, on zeros (1, 3, `side`, `side`); of one that segments the
    encoder alone, since what is behind it takes any size.

    Raises ValueError where it cannot take them; its message begins with `owner`, the key of params.yaml and its value.
    """
    network.eval()
    try:
        with torch.inference_mode():
            getattr(network, "encode", network)(torch.zeros(1, 3, side, side))
    except Exception as error:  # each library has its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{owner} does not take images of {side} × {side} pixels (prepare.image_size): {reason}; set another "
            "prepare.image_size (224 suits most networks), or choose another network"
        ) from error
