"""Weights on disk: `weights.safetensors` beside a `model.json` that says what builds the model. Nothing unpickles.

The JSON stands in a file of its own because safetensors writes two or more metadata keys in another order in every
process, which would break "same inputs, same bytes".
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import nn

from defectdistill.data.tables import read_json, write_json
from defectdistill.files import digest, writing

WEIGHTS, MODEL = "weights.safetensors", "model.json"
LARGEST_MODEL = 1_000_000  # bytes of model.json

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_RESTORE = "restore it with `dvc checkout`"


def save(folder: Path, state: dict[str, torch.Tensor], config: dict) -> None:
    """Write a state dict and the JSON-serialisable `config` that rebuilds its model into `folder`.

    The same tensors and config give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = serialise({key: value.detach().cpu().contiguous() for key, value in state.items()})
    with writing(folder / WEIGHTS):
        (folder / WEIGHTS).write_bytes(weights)
    write_json(folder / MODEL, config)


def read_config(folder: Path) -> dict:
    """Return the config of a checkpoint folder; raises FileNotFoundError or ValueError naming the file.

    What the config must hold is checked by `model_json.read_model_json`.
    """
    path = Path(folder) / MODEL
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: {folder} is no checkpoint folder ({MODEL} beside {WEIGHTS})")
    if path.stat().st_size > LARGEST_MODEL:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, expected at most {LARGEST_MODEL}: {_RESTORE}")
    return read_json(path)


def weights_file(path: Path) -> Path:
    """Return the file with the weights of a checkpoint folder, or `path` itself; raises FileNotFoundError."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"weights {str(path)!r} not found: expected 'none', 'imagenet' or a safetensors file")
    return file


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint folder or of a safetensors file; other formats are refused."""
    file = weights_file(path)
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(
            f"{file} is no safetensors file, or a damaged one ({error}); {_RESTORE}; pickled weights "
            "(.pt, .pth) can run code and are refused: convert them with safetensors.torch.save_file"
        ) from error


def load_into(model: nn.Module, folder: Path) -> nn.Module:
    """Load the weights of a checkpoint folder into `model`, which must fit exactly, and return it.

    Raises FileNotFoundError or ValueError naming the folder and what is missing, too much, of another shape or kind of
    number, or not finite.
    """
    weights, own = read_weights(Path(folder)), model.state_dict()
    unfit = [key for key in own.keys() | weights.keys() if not _fits(own.get(key), weights.get(key))]
    if unfit:
        first = min(unfit)
        raise ValueError(
            f"the weights in {folder} do not fit the model that its {MODEL} describes: {first} should be "
            f"{_described(own.get(first))} and is {_described(weights.get(first))} ({len(unfit)} such in all); "
            f"{MODEL} and {WEIGHTS} must come from one training: restore them with `dvc checkout`"
        )
    _check_finite(weights, str(folder))
    model.load_state_dict(weights)
    return model


def load_all_but_head(network: nn.Module, weights: dict[str, torch.Tensor], source: str) -> None:
    """Copy `weights` into `network`; the last parameterised module may differ in shape and then keeps its own.

    Raises ValueError naming the first tensor that does not fit, or is not finite.
    """
    own = network.state_dict()
    head = list(own)[-1].rpartition(".")[0]
    unfit = [key for key, value in own.items() if not key.startswith(f"{head}.") and not _fits(value, weights.get(key))]
    if unfit:
        first = unfit[0]
        raise ValueError(
            f"{source} does not fit: {first} should be {_described(own[first])} and is "
            f"{_described(weights.get(first))} "
            f"({len(unfit)} of {len(own)} tensors do not fit); give weights of the same architecture"
        )
    fitting = {key: value for key, value in weights.items() if _fits(own.get(key), value)}
    _check_finite(fitting, source)
    network.load_state_dict(own | fitting)


def content_hash(folder: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a checkpoint's config and weights: the name of what was learned."""
    return digest([folder / MODEL, folder / WEIGHTS], folder)


def _fits(own: torch.Tensor | None, given: torch.Tensor | None) -> bool:
    if own is None or given is None or own.shape != given.shape:
        return False
    # Half precision may become full; whole numbers that would become weights are another file's.
    return given.dtype in _FLOATS if own.is_floating_point() else given.dtype == own.dtype


def _described(tensor: torch.Tensor | None) -> str:
    return "nothing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _check_finite(weights: dict[str, torch.Tensor], source: str) -> None:
    for key, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(
                f"{source}: {key} holds values that are not finite (NaN or infinity): the training diverged or the "
                "file is damaged; train again with a smaller learning rate, or restore the file"
            )
