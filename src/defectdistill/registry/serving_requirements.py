"""What the served model needs, in exact versions: its own imports as requirements, what those need as constraints."""

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What the served model imports.
SERVING = (
    "mlflow",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "pydantic",
    "safetensors",
    "torch",
    "torchvision",
)


def exact_versions(constraints: Path) -> tuple[list[str], list[str]]:
    """Return `name==version` of SERVING, and of all that it needs, as the file of constraints has them.

    Without the rest of the file: MLflow warns of each package that a model's constraints name and that is not there.
    Raises FileNotFoundError or ValueError naming what is missing.
    """
    if not constraints.is_file():
        raise FileNotFoundError(f"{constraints} is missing: run this in the repository's root")
    lines = [line for line in constraints.read_text().splitlines() if "==" in line]
    exact = {canonicalize_name(line.partition("==")[0]): line for line in lines}
    if missing := [name for name in SERVING if name not in exact]:
        raise ValueError(f"{constraints} has no exact version of {', '.join(missing)}, which serving needs: add it")
    needed = closure(SERVING)
    return [exact[name] for name in SERVING], [line for name, line in exact.items() if name in needed]


def closure(names: Iterable[str]) -> set[str]:
    """Return the names of the installed packages that `names` need here, directly or through others, and `names`."""
    waiting, seen = [Requirement(name) for name in names], set()
    while waiting:
        wanted = waiting.pop()
        for extra in ("", *wanted.extras):
            key = (canonicalize_name(wanted.name), extra)
            if key not in seen:
                seen.add(key)
                waiting.extend(requirements_of(key[0], extra))
    return {name for name, _ in seen}


def requirements_of(name: str, extra: str) -> list[Requirement]:
    """Return what an installed package needs on this machine, with one of its extras ('' for none)."""
    try:
        requirements = [Requirement(text) for text in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        return []
    return [entry for entry in requirements if entry.marker is None or entry.marker.evaluate({"extra": extra})]
