"""What a teacher's training says of a teacher that has little to teach."""

import numpy as np
import pytest

from defectdistill.training.segmentation_teacher import warn_of_little_to_teach

LABELS = np.array([0, 0, 0, 1, 2])


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ({"val_dice": 0.0, "val_accuracy": 0.9}, "found no defect on the validation split"),
        ({"val_dice": 0.0}, "found no defect"),
        (
            {"val_dice": 0.5, "val_accuracy": 0.6},
            "is right about 60% of the validation photographs, and who always named their commonest class would be "
            "about 60%",
        ),
    ],
)
def test_a_teacher_at_chance_is_said_to_have_little_to_teach(capsys, kept, words):
    better = {"val_dice": 0.9, "val_accuracy": 1.0, "kept": 0.0}
    warn_of_little_to_teach([better, kept | {"kept": 1.0}], LABELS)
    said = capsys.readouterr().err
    assert said.startswith(f"WARNING: the teacher {words}")
    assert "it has little to teach; try more epochs (teacher.epochs)" in said


@pytest.mark.parametrize("kept", [{"val_dice": 0.1, "val_accuracy": 0.8}, {"val_dice": 0.1}])
def test_nothing_is_said_of_another(capsys, kept):
    warn_of_little_to_teach([kept | {"kept": 1.0}], LABELS)
    assert capsys.readouterr().err == ""
