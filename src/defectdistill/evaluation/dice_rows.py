"""The trainings in a row of a table of distilled segmentation (see `dice_table`): where they are, what they find."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from defectdistill.evaluation.dice_table import SIDES, Network
from defectdistill.evaluation.speed import frames_per_second
from defectdistill.model_forms import ResUNet, UNet3Plus
from defectdistill.models.segmenter import Segmenter, load_segmentation


def folders_of(row: Mapping[str, str]) -> dict[str, list[Path]]:
    """Return the folders with the models of each side, by the patterns in a row of paper.csv; raises ValueError where a
    pattern matches none.
    """
    folders = {side: sorted(Path().glob(row[f"{side}_models"])) for side in SIDES}
    empty = [f"{side}_models = {row[f'{side}_models']}" for side, found in folders.items() if not found]
    if empty:
        raise ValueError(
            f"paper.csv, row {row['words']!r}: no folder matches {' and '.join(empty)}; train these models first "
            "(dvc repro), or leave out the row"
        )
    return folders


def name_of(config: UNet3Plus | ResUNet) -> str:
    """Return a network in words, `convnext_tiny+GC+FF` or `U-Net3+ plain, width 16`, from its model.json."""
    if isinstance(config, UNet3Plus):
        return f"U-Net3+ {config.unet3plus.encoder.removeprefix('tu-')}, width {config.unet3plus.width}"
    built = config.resunet
    return built.encoder.removeprefix("tu-") + "+GC" * built.global_context + "+FF" * built.feature_fusion


def ask(
    folders: Iterable[Path], images: np.ndarray, batch_size: int, device: torch.device
) -> tuple[dict[Path, np.ndarray], dict[Path, Network]]:
    """Return, by folder, the label maps that its network finds in `images` uint8 (N, S, S, 3), and the network's size
    and speed, measured once for all networks of a kind.
    """
    found, names, kinds = {}, {}, {}
    for folder in tqdm(sorted(folders), disable=None):
        network, config = load_segmentation(folder)
        found[folder] = Segmenter(network, config.channels, config.normal, batch_size).label_maps(images)
        names[folder] = name_of(config)
        kinds[names[folder]] = network
    speeds = frames_per_second(kinds, images.shape[1], device)
    sizes = {name: sum(parameter.numel() for parameter in network.parameters()) for name, network in kinds.items()}
    return found, {folder: Network(name, sizes[name], speeds[name]) for folder, name in names.items()}
