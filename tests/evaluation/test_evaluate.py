"""All of the evaluation at once: what is written, and that it is the same in every process."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import NAMES, arguments, make_case

from defectdistill.evaluation.evaluate import evaluate_models
from defectdistill.evaluation.gathered import MODELS, Predicted
from defectdistill.evaluation.scores import classification_scores

AGAIN = """
import sys
from pathlib import Path
from evaluation_cases import NAMES, arguments, make_case
from defectdistill.evaluation.evaluate import evaluate_models
folder = Path(sys.argv[1])
evaluate_models(folder / "out", **arguments(folder / "histories", make_case(NAMES, 17, 20)))
assert "matplotlib.pyplot" not in sys.modules
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    results = evaluate_models(folder / "out", **arguments(folder / "histories", make_case(NAMES, 17, 20)))
    return folder / "out", results


def test_evaluate_json_holds_the_results_and_no_nan(written):
    folder, results = written

    def refuse(name):
        raise AssertionError(name)

    text = (folder / "evaluate.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse) == results
    assert text.endswith("}\n")
    assert set(results) == {"student", "baseline", "teacher", "difference", "paired", "data"}
    test = results["student"]["test"]
    assert {"macro_f1", "auc/flame", "average_entropy", "entropy/flame", "confidence/flame"} <= set(test)
    assert results["difference"]["macro_f1"] == test["macro_f1"] - results["baseline"]["test"]["macro_f1"]
    assert results["student"]["unlabelled"]["images"] == 20
    assert test["images"] == sum(test[f"images/{name}"] for name in NAMES) == 17


def test_what_settings_are_chosen_by_stands_beside_the_test_scores(written):
    """`dvc exp show` and MLflow read it from there."""
    validation, results = make_case(NAMES, 17, 20)["validation"], written[1]
    for model in MODELS:
        scores = classification_scores(validation.probs[model], validation.labels, NAMES)
        expected = {name: scores[name] for name in ("accuracy", "macro_f1", "loss")} | {"images": 17}
        assert results[model]["validation"] == expected
        assert expected["loss"] != results[model]["test"]["loss"]


def test_every_file_is_written(written):
    folder, _ = written
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    figures = ("confusion", "roc", "entropy_unlabelled", "confidence_unlabelled", "entropy_test", "confidence_test",
               "training", "loss_terms", "teacher", "reliability", "risk_coverage", "attention")  # fmt: skip
    tables = ("predictions", "unlabelled_predictions", "roc", "roc_student", "roc_baseline", "confusion_student",
              "confusion_baseline")  # fmt: skip
    assert names == {
        "evaluate.json", "calibration.json", "report.html", *(f"figures/{name}.png" for name in figures),
        *(f"plots/{name}.csv" for name in tables),
    }  # fmt: skip


def test_report_shows_every_figure_under_the_number_of_the_paper(written):
    page = (written[0] / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 12
    assert [page.count(f"paper&#39;s Figure {number}") for number in (4, 5, 6, 7, 8)] == [
        4,
        4,
        2,
        2,
        2,
    ]  # alt and caption


def test_same_bytes_in_another_process_under_other_settings(written, tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\nsavefig.dpi: 40\n")
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "PYTHONPATH": str(Path(__file__).parent),
        "LC_ALL": "C",
        "TZ": "Asia/Seoul",
    }
    subprocess.run([sys.executable, "-c", AGAIN, str(tmp_path)], check=True, env=environment)
    folder, _ = written
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "out" / path.relative_to(folder)).read_bytes(), path.name


def test_no_unlabelled_image_no_history_no_masks(tmp_path):
    given = arguments(tmp_path / "h", make_case(["ok", "bad"], 3, 0)) | {"histories": {}, "pixels": None}
    results = evaluate_models(tmp_path / "out", **given)
    assert results["student"]["unlabelled"] == {"images": 0, "images/bad": 0, "images/ok": 0}
    assert results["teacher"] == {}
    assert "attention" not in results["student"]
    assert len(list((tmp_path / "out" / "figures").iterdir())) == 6


def test_every_figure_says_that_the_data_are_synthetic(written, tmp_path):
    given = arguments(tmp_path / "h", make_case(NAMES, 17, 20))
    given["data"] = given["data"] | {"synthetic": True}
    evaluate_models(tmp_path / "out", **given)
    figures = sorted((tmp_path / "out/figures").iterdir())
    assert len(figures) == 12
    for figure in figures:
        assert figure.read_bytes() != (written[0] / "figures" / figure.name).read_bytes()


def test_test_images_with_a_copy_in_training_are_counted_once(tmp_path):
    given = arguments(tmp_path / "h", make_case(["ok", "bad"], 3, 0)) | {"histories": {}}
    pair = {
        "name": given["test"].names[0], "label": "ok", "other": "x.png", "other_label": "bad", "split": "train",
        "relation": "mirrored left to right", "similarity": 0.97,
    }  # fmt: skip
    given["leaks"] = given["leaks"] | {"pairs": [pair, pair | {"other": "y.png"}]}
    assert evaluate_models(tmp_path / "out", **given)["data"]["test_images_with_a_copy"] == 1
    report = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "1 of 3 test photographs has a near copy" in report


def test_order_of_the_models_does_not_matter(written, tmp_path):
    given = arguments(tmp_path / "h", make_case(NAMES, 17, 20)) | {"histories": {}}
    for key in ("validation", "test", "unlabelled"):
        given[key] = replace(given[key], probs=dict(reversed(given[key].probs.items())))
    evaluate_models(tmp_path / "out", **given)
    name = "plots/predictions.csv"
    assert (tmp_path / "out" / name).read_bytes() == (written[0] / name).read_bytes()


def test_a_missing_model_and_a_missing_row_are_named():
    with pytest.raises(ValueError, match=r"\['student'\]; expected of student and baseline"):
        Predicted({"student": np.full((5, 3), 1 / 3)}, ["x"] * 5, ["x"] * 5)
    probs = dict.fromkeys(("student", "baseline"), np.full((5, 3), 1 / 3))
    with pytest.raises(ValueError, match=r"\[4, 5\] rows"):
        Predicted(probs, ["x"] * 5, ["x"] * 4)


def test_calibration_json_is_what_predict_needs(written):
    folder, results = written
    stored = json.loads((folder / "calibration.json").read_text())
    assert set(stored) == {"student", "baseline"}
    assert stored["student"]["temperature"] == results["student"]["calibrated"]["temperature"] != 1.0
    assert stored["student"]["threshold"] == results["student"]["selective"]["threshold"]
    assert stored["student"]["how"] == "fitted"
    assert {model: of["weights"][0] for model, of in stored.items()} == {"student": "5", "baseline": "b"}


def test_without_calibration_nothing_is_called_calibrated(tmp_path):
    given = arguments(tmp_path / "h", make_case(NAMES, 17, 20)) | {"histories": {}, "calibrate": False}
    results = evaluate_models(tmp_path / "out", **given)
    assert "calibrated" not in results["student"]
    assert "calibrated" not in results["student"]["intervals"]
    stored = json.loads((tmp_path / "out/calibration.json").read_text())
    assert (stored["student"]["temperature"], stored["student"]["how"]) == (1.0, "off")
    assert "after" not in re.findall(r"<th>(\w+)</th>", (tmp_path / "out/report.html").read_text())


def test_a_history_that_is_missing_is_left_out(tmp_path):
    given = arguments(tmp_path / "histories", make_case(NAMES, 17, 0))
    given["histories"]["teacher"].unlink()
    evaluate_models(tmp_path / "out", **given)
    assert "training" in " ".join(path.name for path in (tmp_path / "out/figures").iterdir())
