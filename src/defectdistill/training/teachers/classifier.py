"""The teacher `classifier`: any network that a student can be, trained on the labels alone."""

from pathlib import Path
from typing import Any

from defectdistill.data.batches import image_batches
from defectdistill.data.packed import labels_of
from defectdistill.models.students import classifier_config
from defectdistill.training.classification import classification_task
from defectdistill.training.teachers.teaching import Teaching


def teaching(settings: dict[str, Any], data: dict[str, Any], train: Path, val: Path, on_gpu: bool) -> Teaching:
    """Return what is trained; `settings` is section `teacher`, `data` the prepared data's learned.json."""
    task = classification_task(settings, len(data["classes"]), labels_of(train))
    return Teaching(
        task,
        task.student,
        image_batches(train, seed=settings["seed"], batch_size=settings["batch_size"], on_gpu=on_gpu),
        image_batches(val, batch_size=settings["batch_size"], on_gpu=on_gpu),
        ("val_loss", "min"),
        classifier_config(settings["arch"], data["classes"], data["size"], data["resize"]),
    )
