import json

import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.assess import Assessor
from defectdistill.evaluation.calibration import scaled
from defectdistill.models.students import build_student, classifier_config
from defectdistill.predict import Predictor

CLASSES = ["a", "b", "c"]
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 48, 48, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    network = build_student("small_cnn_3", 3)
    checkpoint.save(tmp_path / "student", network.state_dict(), classifier_config("small_cnn_3", CLASSES, 48, "squash"))
    return tmp_path


def load(folder, temperature=2.0, threshold=0.5, weights=None, **changes):
    path = folder / "calibration.json"
    chosen = {"temperature": temperature, "threshold": threshold, "how": "fitted", "target_accuracy": 0.9}
    chosen |= {"weights": weights} if weights else {}
    path.write_text(json.dumps({"student": chosen} | changes))
    return Assessor.load(folder / "student", path)


def test_probabilities_are_calibrated_and_the_threshold_is_on_them(folder):
    expected = scaled(Predictor.load(folder / "student")(IMAGES).probabilities, 2.0)
    middle = float(np.median(expected.max(axis=1)))
    assessed = load(folder, threshold=middle)(IMAGES)
    np.testing.assert_allclose(assessed.probabilities, expected, rtol=1e-6)
    np.testing.assert_allclose(assessed.confidence, expected.max(axis=1), rtol=1e-6)
    assert assessed.uncertain.sum() == 3
    assert (assessed.uncertain == (assessed.confidence < middle)).all()
    assert assessed.classes == [CLASSES[index] for index in expected.argmax(axis=1)]


def test_without_a_threshold_that_is_good_enough_everything_goes_to_a_person(folder):
    assert load(folder, threshold=None)(IMAGES).uncertain.all()


def test_no_image_is_no_assessment(folder):
    assessed = load(folder)(IMAGES[:0])
    assert assessed.uncertain.shape == assessed.confidence.shape == (0,)


def test_what_does_not_fit_is_named(folder):
    with pytest.raises(FileNotFoundError, match="run `dvc repro`"):
        Assessor.load(folder / "student", folder / "nothing.json")
    with pytest.raises(ValueError, match="no temperature and threshold for 'student'"):
        load(folder, student={"temperature": 1.0})
    with pytest.raises(ValueError, match=r"found for other weights \(ab{11}…\).*run `dvc repro evaluate`"):
        load(folder, weights="a" + 63 * "b")
    assert load(folder, weights=checkpoint.content_hash(folder / "student")).threshold == 0.5
    with pytest.raises(ValueError, match="expected a confidence between 0 and 1"):
        load(folder, threshold=1.5)
    for temperature, threshold in (("1", 0.5), (None, 0.5), (True, 0.5), (1.0, "a"), (1.0, False)):
        with pytest.raises(ValueError, match="expected a number above 0, and a confidence between 0 and 1 or null"):
            load(folder, temperature, threshold)
    with pytest.raises(ValueError, match=r"found for other weights \(5…\)"):
        load(folder, weights=5)
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        load(folder, temperature=0)
