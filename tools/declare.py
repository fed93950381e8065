"""Write into every dvc.yaml the modules that each stage's scripts import, directly or not: `make declare`.

A stage re-runs when code changes that it runs, and only then; nobody can keep such lists by hand. What is imported by
name at run time cannot be read from the code and stands in `BY_NAME`.
"""

import ast
import io
import re
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, SOURCE = "defectdistill", "src/defectdistill/"
# They cannot change a model or a score.
LEFT_OUT = (f"{SOURCE}tracking/", *(f"{SOURCE}{name}.py" for name in ("params", "sections", "model_sections")))
# Modules that import others by a name in params.yaml: which those are, and what else of the family these contain.
BY_NAME = {
    f"{SOURCE}data/ingest.py": ({f"{SOURCE}data/sources/${{ingest.source}}"}, set()),
    f"{SOURCE}training/distillation.py": (
        {f"{SOURCE}distillation/${{distill.method}}.py"},
        {f"{SOURCE}distillation/combined.py"},
    ),
}
# What a command never comes to, though its script imports it in a function.
NOT_REACHED = {
    r"distill\.py baseline": {f"{SOURCE}training/distillation.py"},
    r"(ingest|prepare|augment)\.py": {f"{SOURCE}checkpoint.py"},  # for the lineage of models
}


@cache
def imported(path: str) -> frozenset[str]:
    """Return the package's files that a file imports, at its head or in a function."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = (f"src/{name.replace('.', '/')}.py" for name in names if name.startswith(f"{PACKAGE}."))
    return frozenset(file for file in files if (ROOT / file).is_file())


def needed(command: str) -> set[str]:
    """Return the modules, and templates of modules, that the stage scripts in a command import."""
    barred = {file for pattern, files in NOT_REACHED.items() if re.search(pattern, command) for file in files}
    todo, seen, by_name = re.findall(r"stages/\w+\.py", command), set(), set()
    while todo:
        path = todo.pop()
        templates, contain = BY_NAME.get(path, (set(), set()))
        by_name |= templates
        found = {file for start in {path, *contain} for file in imported(start)} - barred
        todo += found - seen
        seen |= found
    return {file for file in seen if not file.startswith(LEFT_OUT)} | by_name


def dependencies(stage: dict[str, Any], up: str, of_variants: bool) -> list[str]:
    """Return the dependencies of a stage: its own, its scripts, then the modules.

    `up` leads to the root; `of_variants` says that the parameters stand in the variants' folders.
    """
    command = " ".join(stage["cmd"]) if isinstance(stage["cmd"], list) else stage["cmd"]
    scripts = sorted({f"{up}{script}" for script in re.findall(r"stages/\w+\.py", command)})
    modules = {f"{up}{module}" for module in needed(command)}
    if of_variants and any("${distill.method}" in module for module in modules):  # each has a method of its own
        methods = f"{up}{SOURCE}distillation"
        modules = {module for module in modules if not module.startswith(methods)} | {methods}
    own = [name for name in stage["deps"] if f"{SOURCE}" not in name or not name.endswith((".py", "}", "distillation"))]
    return [name for name in own if name not in scripts] + scripts + sorted(modules, key=plain)


def plain(name: str) -> str:
    """Return what to sort by: `${…}` before letters, as it reads best."""
    return name.replace("${", " ")


def as_declared(path: Path) -> str:
    """Return a dvc.yaml with the right modules among the dependencies of every stage, and all else as it is."""
    yaml, text = YAML(), path.read_text(encoding="utf-8")
    yaml.preserve_quotes, yaml.width = True, 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document, of_variants = yaml.load(text), "variant.py" in text
    for stage in document["stages"].values():
        depth = len(path.parent.relative_to(ROOT).parts) + ("wdir" in stage)
        stage["deps"][:] = dependencies(stage, "../" * depth, of_variants)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


if __name__ == "__main__":
    for file in [ROOT / "dvc.yaml", *sorted(ROOT.glob("pipelines/*/dvc.yaml"))]:
        file.write_text(as_declared(file), encoding="utf-8")
