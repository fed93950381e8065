"""Weights on disk: `weights.safetensors` beside a `model.json` that says what builds the model. Nothing unpickles.

The JSON stands in a file of its own because safetensors writes two or more metadata keys in another order in every
process, which would break "same inputs, same bytes".
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import nn

from defectdistill.files import writing

WEIGHTS, MODEL = "weights.safetensors", "model.json"


def save(folder: Path, state: dict[str, torch.Tensor], config: dict) -> None:
    """Write a state dict and the JSON-serialisable `config` that rebuilds its model into `folder`.

    The same tensors and config give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = serialise({key: value.detach().cpu().contiguous() for key, value in state.items()})
    with writing(folder / WEIGHTS):
        (folder / WEIGHTS).write_bytes(weights)
    (folder / MODEL).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_config(folder: Path) -> dict:
    """Return the config of a checkpoint folder; raises FileNotFoundError or ValueError naming the file."""
    path = Path(folder) / MODEL
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {folder} is no checkpoint folder ({MODEL} beside {WEIGHTS})")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); restore it with `dvc checkout`") from error


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint folder or of a safetensors file; other formats are refused."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"weights {str(path)!r} not found: expected 'none', 'imagenet' or a safetensors file")
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(
            f"{file} is no safetensors file ({error}); pickled weights (.pt, .pth) can run code and are refused: "
            "convert them with safetensors.torch.save_file"
        ) from error


def load_into(model: nn.Module, folder: Path) -> nn.Module:
    """Load the weights of a checkpoint folder into `model`, which must fit exactly, and return it."""
    try:
        model.load_state_dict(read_weights(Path(folder)))
    except RuntimeError as error:
        raise ValueError(f"the weights in {folder} do not fit the model that its {MODEL} describes: {error}") from error
    return model


def load_all_but_head(network: nn.Module, weights: dict[str, torch.Tensor], source: str) -> None:
    """Copy `weights` into `network`; the last parameterised module may differ in shape and then keeps its own.

    Raises ValueError naming the first tensor that does not fit.
    """
    own = network.state_dict()
    head = list(own)[-1].rpartition(".")[0]
    unfit = [
        key
        for key, value in own.items()
        if not key.startswith(f"{head}.") and (key not in weights or weights[key].shape != value.shape)
    ]
    if unfit:
        have = tuple(weights[unfit[0]].shape) if unfit[0] in weights else "nothing"
        raise ValueError(
            f"{source} does not fit: {unfit[0]} should be {tuple(own[unfit[0]].shape)} and is {have} "
            f"({len(unfit)} of {len(own)} tensors do not fit); give weights of the same architecture"
        )
    fitting = {key: value for key, value in weights.items() if key in own and value.shape == own[key].shape}
    network.load_state_dict(own | fitting)


def content_hash(folder: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a checkpoint's config and weights: the name of what was learned."""
    digest = hashlib.sha256()
    for name in (MODEL, WEIGHTS):
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()
