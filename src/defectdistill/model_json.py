"""Reads `model.json` in the form of its kind (`model_forms.py`), checked before anything is built."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from torch import nn

from defectdistill import checkpoint
from defectdistill.model_forms import ModelJson

Form = TypeVar("Form", bound=ModelJson)
Model = TypeVar("Model", bound=nn.Module)


def read_model_json(folder: str | Path, form: type[Form]) -> Form:
    """Return a checkpoint folder's model.json as `form`.

    Raises FileNotFoundError or ValueError that names the file, each value at fault and what was expected there.
    """
    folder = Path(folder)
    config = checkpoint.read_config(folder)
    if form.key not in config:
        raise ValueError(
            f"{folder} holds no {form.kind} (its {checkpoint.MODEL} has {sorted(config)[:8]}); give {form.example}"
        )
    try:
        return form.model_validate(config)
    except ValidationError as error:
        problems = "".join(f"\n  {_described(problem)}" for problem in error.errors()[:8])
        raise ValueError(
            f"{folder / checkpoint.MODEL} does not describe a {form.kind}:{problems}\n"
            "restore it with `dvc checkout`, or train the model again"
        ) from None


def build(folder: Path, make: Callable[[], Model]) -> Model:
    """Return what `make` builds after the model.json of `folder`; its ValueError comes back naming that file."""
    try:
        return make()
    except ValueError as error:
        raise ValueError(f"{Path(folder) / checkpoint.MODEL} describes what cannot be built: {error}") from error


def check_width(folder: Path, width: int) -> None:
    """Refuse, before it is built, a network of a `width` that the weights in `folder` cannot have.

    It has at least one 3×3 convolution from `width` to `width` channels, two bytes a value: a few bytes of JSON must
    not be able to ask for gigabytes. Raises ValueError.
    """
    held = checkpoint.weights_file(folder).stat().st_size
    if 2 * 9 * width**2 > held:
        raise ValueError(
            f"{folder / checkpoint.MODEL} says width = {width}, for which the {held} bytes of {checkpoint.WEIGHTS} "
            "beside it are too few: the two files do not belong together; restore them with `dvc checkout`"
        )


def _described(problem: dict) -> str:
    return f"{'.'.join(map(str, problem['loc'])) or 'it'} = {repr(problem['input'])[:80]}: {problem['msg']}"
