"""Write into every dvc.yaml the modules that each stage's scripts import, directly or not: `make declare`.

A stage re-runs when code changes that it runs; nobody can keep such lists by hand. What is imported by name at run time
cannot be read from the code and stands in `BY_NAME`. What other names would import is declared too: whoever chooses
another teacher in params.yaml must not get the one of yesterday's code.
"""

import ast
import io
import re
from functools import cache
from pathlib import Path
from typing import Any, get_args

from ruamel.yaml import YAML

from defectdistill.distill_sections import Distill
from defectdistill.params import NETWORKS, SOURCES
from defectdistill.sections import Augment

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, SOURCE = "defectdistill", "src/defectdistill/"
# They cannot change a model or a score.
FORMS = ("params", "sections", "ingest_sections", "model_sections", "distill_sections")  # of params.yaml
LEFT_OUT = (f"{SOURCE}tracking/", *(f"{SOURCE}{name}.py" for name in FORMS))
# Files that import a module by a name in params.yaml: that module, or the folder of its package.
BY_NAME = {
    f"{SOURCE}data/ingest.py": f"{SOURCE}data/sources/${{ingest.source}}",
    "stages/augment.py": f"{SOURCE}training/synthesizers/${{augment.synthesizer}}.py",
    "stages/teacher.py": f"{SOURCE}training/teachers/${{teacher.network}}.py",
    "stages/distill.py": f"{SOURCE}training/tasks/${{student.task}}.py",
    "stages/evaluate.py": f"{SOURCE}evaluation/tasks/${{student.task}}.py",
    f"{SOURCE}training/distillation.py": f"{SOURCE}distillation/${{distill.method}}.py",
}
CHOICES = {  # key → its names; the task of a student is its pipeline's
    ("ingest", "source"): SOURCES,
    ("augment", "synthesizer"): get_args(Augment.model_fields["synthesizer"].annotation),
    ("teacher", "network"): NETWORKS,
    ("distill", "method"): get_args(Distill.model_fields["method"].annotation),
}
# What a command never comes to, though its script imports it in a function.
NOT_REACHED = {
    r"distill\.py baseline": {f"{SOURCE}training/course.py"},
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


def resolved(template: str, values: dict[str, Any]) -> str:
    """Return a path with the values of the parameters that it names."""

    def value(found: re.Match) -> str:
        section, key = found[1].split(".")
        return values[section][key]

    return re.sub(r"\$\{([\w.]+)\}", value, template)


def needed(command: str, values: dict[str, Any]) -> set[str]:
    """Return the modules that the stage scripts in a command import, those by name as templates."""
    barred = {file for pattern, files in NOT_REACHED.items() if re.search(pattern, command) for file in files}
    todo, seen, templates = re.findall(r"stages/\w+\.py", command), set(), set()
    while todo:
        path = todo.pop()
        starts = {path}
        if template := BY_NAME.get(path):
            templates.add(template)
            module = ROOT / resolved(template, values)
            found = sorted(module.rglob("*.py")) if module.is_dir() else [module]
            starts |= {file.relative_to(ROOT).as_posix() for file in found}
        found = {file for start in starts for file in imported(start)} - barred
        todo += found - seen
        seen |= found
    inside = tuple(resolved(template, values) for template in templates)
    return {file for file in seen if not file.startswith((*LEFT_OUT, *inside))} | templates


def variants_of(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the parameters as they are, and with each other name in its turn."""
    others = [
        values | {section: values[section] | {key: name}} for (section, key), names in CHOICES.items() for name in names
    ]
    return [values, *others]


def dependencies(stage: dict[str, Any], up: str, variants: list[dict[str, Any]]) -> list[str]:
    """Return the dependencies of a stage: its own, its scripts, then the modules.

    `up` leads to the root; `variants` are the parameters that its runs may have. Beside the root's pipeline names stand
    for all that they may be: parameters may stand in another folder, and DVC ignores no `__pycache__` in a folder
    outside of its repository.
    """
    command = " ".join(stage["cmd"]) if isinstance(stage["cmd"], list) else stage["cmd"]
    scripts = sorted({f"{up}{script}" for script in re.findall(r"stages/\w+\.py", command)})
    modules = set().union(*(needed(command, values) for values in variants))
    if up:
        modules = {file for values in variants for module in modules for file in files_of(resolved(module, values))}
    own = [name for name in stage["deps"] if SOURCE not in name or not name.endswith((".py", "}"))]
    return [name for name in own if name not in scripts] + scripts + sorted((up + name for name in modules), key=plain)


def files_of(name: str) -> list[str]:
    """Return a file as it is, of a folder the modules in it, but for empty ones."""
    if not (ROOT / name).is_dir():
        return [name]
    found = (path for path in sorted((ROOT / name).rglob("*.py")) if path.stat().st_size)
    return [path.relative_to(ROOT).as_posix() for path in found]


def plain(name: str) -> str:
    """Return what to sort by: `${…}` before letters, as it reads best."""
    return name.replace("${", " ")


def as_declared(path: Path) -> str:
    """Return a dvc.yaml with the right modules among the dependencies of every stage, and all else as it is."""
    yaml, text = YAML(), path.read_text(encoding="utf-8")
    yaml.preserve_quotes, yaml.width = True, 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document, base = yaml.load(text), re.search(r"--base (\S+)", text)
    values = YAML(typ="safe", pure=True).load(path.parent / (base[1] if base else "params.yaml"))
    for stage in document["stages"].values():
        depth = len(path.parent.relative_to(ROOT).parts) + ("wdir" in stage)
        stage["deps"][:] = dependencies(stage, "../" * depth, variants_of(values))
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


if __name__ == "__main__":
    for file in [ROOT / "dvc.yaml", *sorted(ROOT.glob("pipelines/*/dvc.yaml"))]:
        file.write_text(as_declared(file), encoding="utf-8")
