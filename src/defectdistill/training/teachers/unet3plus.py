"""The teacher `unet3plus`: a segmentation network that learns from the masks."""

from pathlib import Path
from typing import Any

from defectdistill.data.batches import mask_batches
from defectdistill.models.unet3plus import unet3plus_config
from defectdistill.training.segmentation_teacher import segmentation_task
from defectdistill.training.teachers.teaching import Teaching, warn_of_the_unseen


def teaching(settings: dict[str, Any], data: dict[str, Any], train: Path, val: Path, on_gpu: bool) -> Teaching:
    """Return what is trained; `settings` is section `teacher`, `data` the prepared data's learned.json."""
    channels = ["defect"] if settings["target"] == "binary" else data["classes"]
    normal = [name for name in data["normal_classes"] if name in channels]
    task = segmentation_task(settings, len(channels), [channels.index(name) for name in normal])
    every = settings["loss"] == "ce_dice_image"  # images without a mask teach this loss something too
    if settings["target"] == "classes" and not every:
        warn_of_the_unseen(data)
    return Teaching(
        task,
        task.network,
        mask_batches(train, settings["batch_size"], settings["seed"], on_gpu, every),
        mask_batches(val, settings["batch_size"], None, on_gpu, every),
        ("val_soft_dice", "max"),
        unet3plus_config(settings["encoder"], settings["width"], channels, data["size"], data["resize"], normal),
        channels,
    )
