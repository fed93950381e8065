"""Imports point one way, and nothing that computes knows the form of params.yaml, which no stage depends on."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/defectdistill"
LAYERS = {  # package → the packages that it may import from
    "data": set(),
    "models": {"data"},
    "distillation": {"data", "models"},
    "training": {"data", "models", "distillation"},
    "evaluation": {"data", "models", "distillation"},
    "export": {"data", "models", "distillation", "evaluation"},
}
FORMS = {"params", "sections", "ingest_sections", "model_sections", "distill_sections"}
HARMLESS = {  # of names and forms alone, which cannot change what is computed
    ("evaluation/comparison.py", "params"),
    ("evaluation/comparison.py", "sections"),
    ("training/distillation.py", "distill_sections"),
}
BELOW_EVALUATION = ("predict.py", "predict_masks.py", "assess.py", "probabilities.py")  # which asks these
FILES = sorted(path for layer in LAYERS for path in (SOURCE / layer).rglob("*.py"))


def imported(path):
    """Return the first names below `defectdistill` of all that a file imports, at its head or in a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "defectdistill":
            names |= {f"defectdistill.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.split(".")[1] for name in names if name.startswith("defectdistill.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path):
    layer, name = path.relative_to(SOURCE).parts[0], str(path.relative_to(SOURCE))
    found = imported(path)
    assert found & LAYERS.keys() <= LAYERS[layer] | {layer}
    assert {form for form in found & FORMS if (name, form) not in HARMLESS} == set()


@pytest.mark.parametrize("name", BELOW_EVALUATION)
def test_predicting_needs_nothing_of_the_evaluation(name):
    assert not imported(SOURCE / name) & {"evaluation", "training", "export"}
