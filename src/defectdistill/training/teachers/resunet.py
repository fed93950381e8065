"""The teacher `resunet`: a network that a student could be too, and that learns from the masks as a student does."""

from pathlib import Path
from typing import Any

from defectdistill.data.batches import image_batches
from defectdistill.models.resunet import resunet_config
from defectdistill.training.segmentation_student import segmentation_student_task
from defectdistill.training.teachers.teaching import Teaching, warn_of_the_unseen


def teaching(settings: dict[str, Any], data: dict[str, Any], train: Path, val: Path, on_gpu: bool) -> Teaching:
    """Return what is trained; `settings` is section `teacher`, `data` the prepared data's learned.json."""
    task = segmentation_student_task(settings, data, train)
    warn_of_the_unseen(data)
    loading = {"batch_size": settings["batch_size"], "on_gpu": on_gpu}
    return Teaching(
        task,
        task.student,
        image_batches(train, seed=settings["seed"], extra=task.arrays(train), **loading),
        image_batches(val, extra=task.arrays(val), **loading),
        task.monitor,
        resunet_config(settings, data["classes"], data["size"], data["resize"]),
        data["classes"],
    )
