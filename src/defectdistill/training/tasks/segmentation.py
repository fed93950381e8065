"""The task `segmentation` of a student: a ResUNet that learns from masks."""

from pathlib import Path
from typing import Any

from defectdistill.models.resunet import resunet_config
from defectdistill.training.segmentation_student import SegmentationStudentTask, segmentation_student_task


def student_task(settings: dict[str, Any], data: dict[str, Any], train: Path) -> SegmentationStudentTask:
    """Return what is trained; `settings` is section `student`, `data` the prepared data's learned.json, `train` the
    folder of the training images."""
    return segmentation_student_task(settings, data, train)


def student_config(settings: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return the student's model.json."""
    return resunet_config(settings, data["classes"], data["size"], data["resize"])
