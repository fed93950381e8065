"""Packs a student's checkpoint folder as an MLflow model that runs where this package is not installed."""

import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from defectdistill import checkpoint
from defectdistill.registry.serving_requirements import exact_versions

if TYPE_CHECKING:
    import pandas
    from mlflow.models import Model, ModelSignature

os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

SERVED = Path(__file__).with_name("served_model.py")
PACKAGE = Path(__file__).resolve().parents[1]
STUDENT, TRAINED_ON = "student", "trained_on.json"


def pack(
    target: Path, student: Path, known: Sequence[str], max_pixels: int, constraints: Path, model: "Model | None" = None
) -> None:
    """Write the MLflow model of the checkpoint folder `student` into the folder `target`, which must not exist.

    `known` are the keys of the photographs that it was trained on (`held_out.learned_from`), `max_pixels` the most that
    a served image may have, `constraints` the file of exact versions, `model` what holds MLflow's ids. Raises
    FileNotFoundError or ValueError naming what cannot be used.
    """
    import mlflow.pyfunc

    config, (requirements, needed) = checkpoint.read_config(student), exact_versions(constraints)
    with tempfile.TemporaryDirectory() as temporary:
        # Copies, because MLflow notes the paths that it is given: none of this machine ends in the model.
        names = (STUDENT, TRAINED_ON, SERVED.name, "constraints.txt")
        folder, seen, code, versions = (Path(temporary) / name for name in names)
        folder.mkdir()
        shutil.copy(SERVED, code)
        for name in (checkpoint.MODEL, checkpoint.WEIGHTS):  # and nothing else that may lie there
            shutil.copy(student / name, folder)
        seen.write_text(json.dumps(list(known)) + "\n")
        versions.write_text("\n".join(needed) + "\n")
        mlflow.pyfunc.save_model(
            target,
            python_model=code,
            code_paths=[str(PACKAGE)],
            artifacts={"student": str(folder), "trained_on": str(seen)},
            model_config={"max_pixels": max_pixels},
            signature=signature(config["classes"]),
            input_example=input_example(config["preprocessing"]["size"]),
            pip_requirements=[*requirements, f"-c {versions}"],
            mlflow_model=model,
        )


def signature(classes: Sequence[str]) -> "ModelSignature":
    """Return what goes in, encoded images, and what comes out, a row each."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    probs = [ColSpec("double", f"probability/{name}") for name in classes]
    outputs = [ColSpec("string", "class"), ColSpec("double", "entropy"), *probs]
    return ModelSignature(inputs=Schema([ColSpec("binary", "image")]), outputs=Schema(outputs))


def input_example(size: int) -> "pandas.DataFrame":
    """Return a batch of two: a PNG of the model's size, and a wide grey JPEG."""
    import pandas

    ramp = np.tile(np.linspace(0, 255, size).astype(np.uint8), (size, 1))
    images = [(Image.fromarray(ramp).convert("RGB"), "PNG"), (Image.fromarray(ramp[: size // 2]), "JPEG")]
    encoded = []
    for image, kind in images:
        file = io.BytesIO()
        image.save(file, kind)
        encoded.append(file.getvalue())
    return pandas.DataFrame({"image": encoded})
