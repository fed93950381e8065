"""The stage `export` in a folder that the stages before it left, without training."""

import runpy
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from repository import PROJECT
from test_onnx_file import student
from test_prepare import CLASSES, run

from defectdistill import checkpoint
from defectdistill.data.tables import read_json, read_table, write_json
from defectdistill.evaluation.gathered import Predicted
from defectdistill.evaluation.measures import choose
from defectdistill.evaluation.results import evaluation_results
from defectdistill.export import example
from defectdistill.models.students import classifier_config
from defectdistill.predict import Predictor
from defectdistill.tracking.runs import NoRun

SIZE = 32


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Data that were divided after augmentation, an untrained student, and what `evaluate` says of it."""
    run(tmp_path / "data", protocol="after_augmentation", size=SIZE)
    config = classifier_config("small_cnn_3", list(CLASSES), SIZE, "squash")
    checkpoint.save(tmp_path / "models/student", student("small_cnn_3").state_dict(), config)
    test = tmp_path / "data/prepared/test"
    rows = read_table(test / "index.csv")
    probs = Predictor.load(tmp_path / "models/student")(np.load(test / "images.npy")).probabilities
    both, names = dict.fromkeys(("student", "baseline"), probs), [row["name"] for row in rows]
    predicted = Predicted(both, names, names, np.array([int(row["label"]) for row in rows]))
    unlabelled = Predicted(dict.fromkeys(both, probs[:0]), [], [])
    chosen = {model: choose(probs, predicted.labels, calibrate=True, target=0.95) for model in both}
    results = evaluation_results(predicted, unlabelled, None, chosen, list(CLASSES), resamples=20, seed=0)
    (tmp_path / "metrics").mkdir()
    results["data"] = {"test_images_with_a_copy": len(rows)}
    write_json(tmp_path / "metrics/evaluate.json", results)
    found = {"temperature": 1.5, "how": "fitted", "threshold": 0.6, "target_accuracy": 0.95}
    write_json(tmp_path / "metrics/calibration.json", {"student": found})
    (tmp_path / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def export():
    """Run the stage in this process, without MLflow."""
    main = runpy.run_path(str(PROJECT / "stages/export.py"))["main"]
    main.__globals__["stage_run"] = lambda *_: nullcontext(NoRun())
    main()


def test_data_that_were_divided_after_augmentation_are_compared_on_photographs_alone(folder):
    rows = read_table(folder / "data/prepared/test/index.csv")
    photographs = [row for row in rows if row["copy"] == "0"]
    assert 0 < len(photographs) < len(rows)
    export()
    parity = read_json(folder / "models/onnx/parity.json")
    assert parity["fp32"]["photographs"]["onnxruntime"]["images"] == len(photographs)
    assert parity["fp32"]["test"]["onnxruntime"]["images"] == len(rows)
    assert "Divided after augmentation" in (folder / "models/onnx/model_card.md").read_text()
    assert (folder / "models/onnx/example.py").read_bytes() == Path(example.__file__).read_bytes()
