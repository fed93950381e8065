"""From stored images to a network's input: the ImageNet statistics, in the layout that convolutions like best."""

import torch

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """uint8 RGB (N, H, W, 3) in 0…255 → float32 (N, 3, H, W), (x/255 − mean) / std per channel.

    The result is channels_last in memory: a permuted view, not a copy.
    """
    mean = torch.tensor(MEAN, device=images.device)
    std = torch.tensor(STD, device=images.device)
    return ((images.float() / 255.0 - mean) / std).permute(0, 3, 1, 2)
