"""The task `classification` of a student: a classifier that learns from labels."""

from pathlib import Path
from typing import Any

from defectdistill.data.packed import labels_of
from defectdistill.models.students import classifier_config
from defectdistill.training.classification import ClassificationTask, classification_task


def student_task(settings: dict[str, Any], data: dict[str, Any], train: Path) -> ClassificationTask:
    """Return what is trained; `settings` is section `student`, `data` the prepared data's learned.json, `train` the
    folder of the training images."""
    return classification_task(settings, len(data["classes"]), labels_of(train))


def student_config(settings: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the student's model.json."""
    return classifier_config(settings["arch"], data["classes"], data["size"], data["resize"])
