"""Variants of a pipeline: its `params.yaml` with changes that stand elsewhere, checked and written for a folder.

A pipeline that compares many settings names only what each changes; the stages then run in the variant's folder.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from defectdistill.params import PARAMS, load_params

Tree = dict[str, Any]


def write_variant(folder: Path, base: Path, changes: Path, chosen: Sequence[str]) -> None:
    """Write `folder`/params.yaml: the file `base` with every one of `chosen`, in their order.

    A choice is the full name of a mapping in the file `changes` (`rows.mse`), or a value (`student.seed=1`, in YAML).
    Raises ValueError for a choice that is no mapping, a key that `base` lacks, and parameters that are not valid.
    """
    yaml = YAML(typ="safe", pure=True)
    values, offered = yaml.load(base), yaml.load(changes)
    for choice in chosen:
        name, equals, value = choice.partition("=")
        change = nested(name, yaml.load(value)) if equals else looked_up(offered, name, changes)
        values = merged(values, change, base)
    folder.mkdir(parents=True, exist_ok=True)
    yaml.default_flow_style = False
    yaml.dump(values, folder / PARAMS)
    load_params(folder / PARAMS)


def nested(name: str, value: Any) -> Tree:
    """Return {first: {second: value}} for the full name `first.second`."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


def looked_up(values: Mapping[str, Any], name: str, path: Path) -> Tree:
    """Return the mapping that stands in `values` (of the file `path`) under a full name."""
    found: Any = values
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError(f"{path} has no changes under {name!r}: expected a mapping of keys to values there")
    return dict(found)


def merged(values: Tree, changes: Mapping[str, Any], base: Path, prefix: str = "") -> Tree:
    """Return `values` with `changes` put over them, key by key at every depth."""
    result = deepcopy(values)
    for key, value in changes.items():
        if key not in result:
            raise ValueError(f"{prefix}{key}: {base} has no such key; expected one of {', '.join(result)}")
        both = isinstance(value, Mapping) and isinstance(result[key], dict)
        result[key] = merged(result[key], value, base, f"{prefix}{key}.") if both else value
    return result
