"""The task of distilling: a classifier that also learns from the teacher's stored features (cable paper, eq. 3)."""

import importlib
from pathlib import Path

import numpy as np
import torch
from torch import nn

from defectdistill import checkpoint
from defectdistill.distillation.feature_store import open_store, read_manifest
from defectdistill.distillation.frozen_teacher import FrozenTeacher
from defectdistill.distillation.ramp import quadratic_ramp
from defectdistill.models.normalise import normalise
from defectdistill.models.students import Student, taps_of
from defectdistill.models.taps import Tap, select_taps
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import mean_over

# Method name → module with `build(student taps, teacher taps, settings)`; imported when it is asked for, so that
# editing one method re-runs that method alone.
METHODS = {"feature_fusion": "defectdistill.distillation.feature_fusion"}
STORED = "teacher_stride"  # batches carry the stored features as teacher_stride8, …


class DistillationTask(ClassificationTask):
    """L = L_ce + λ(t)·L_distil; the teacher's features come with the batch, fp16 (B, H, W, C), or from `teacher`.

    `method` maps ({stride: student features}, {stride: teacher features}) to a dictionary of raw terms and `total`.
    `weights` is (λ at the start, λ at the end); equal values are a fixed weight. Logged per epoch beside what a
    classifier logs: every raw term and their total of both splits, cross-entropy, and λ.
    """

    def __init__(
        self,
        student: Student,
        classes: int,
        optimisation: Optimisation,
        method: nn.Module,
        taps: dict[int, Tap],
        weights: tuple[float, float],
        teacher: FrozenTeacher | None = None,
    ):
        super().__init__(student, classes, optimisation)
        self.method = method
        self.taps = taps
        self.weights = weights
        self.teacher = teacher

    def distil(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the student's logits (B, K) and the method's terms for a batch."""
        images = normalise(batch["image"])
        logits, features = self.student.forward_with_features(images, self.taps)
        if self.teacher is None:
            teacher = {
                int(name.removeprefix(STORED)): value.permute(0, 3, 1, 2)  # NHWC on disk: channels_last as a view
                for name, value in batch.items()
                if name.startswith(STORED)
            }
        else:
            teacher = {stride: value.half() for stride, value in self.teacher(images).items()}  # as if stored
        return logits, self.method(features, teacher)

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return L_ce + λ·L_distil of a batch."""
        logits, terms = self.distil(batch)
        hard = self.hard_loss(logits, batch["label"])
        weight = quadratic_ramp(self.current_epoch / self.optimisation.epochs, *self.weights)
        loss = hard + weight * terms["total"]
        self.log_training(logits, batch["label"], {"loss": loss, "cross_entropy": hard, **terms_named(terms)})
        self.log("lambda", weight, **mean_over(len(logits)))
        return loss * batch_weight(batch["image"])

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log what a classifier logs, and the raw terms as val_NAME."""
        logits, terms = self.distil(batch)
        self.log_validation(logits, batch["label"])
        scalars = {f"val_{name}": value for name, value in terms_named(terms).items()}
        self.log_dict(scalars, **mean_over(len(logits)))


def terms_named(terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name the method's total `distillation`, so that it cannot be taken for the loss that is minimised."""
    return {"distillation" if name == "total" else name: value for name, value in terms.items()}


def distilling_task(
    task: ClassificationTask, settings: dict, store: Path, teacher: Path, splits: dict[str, Path]
) -> tuple[DistillationTask, dict[str, dict[str, np.ndarray]]]:
    """Return `task` with distilling added, and for each split the stored features as further arrays for its batches.

    `settings` are the keys of params.yaml's section `distill`; `teacher` is a folder with the trained teacher and,
    beside it, `frozen_teacher`; `splits` maps a split's name in `store` to the folder of its images. Where nothing
    was stored the frozen teacher is asked in every step. Raises ValueError for an unknown method and for a store that
    does not fit.
    """
    if settings["method"] not in METHODS:
        raise ValueError(f"distill.method = {settings['method']!r}: expected one of {', '.join(METHODS)}")
    strides, trained = settings["levels"], checkpoint.content_hash(teacher)
    stored, frozen = {split: {} for split in splits}, None
    if read_manifest(store, trained)["stored"]:
        features = {split: open_store(store, trained, split, images, strides) for split, images in splits.items()}
        levels = next(iter(features.values()))
        teacher_taps = {stride: Tap(f"stride{stride}", array.shape[-1], stride) for stride, array in levels.items()}
        stored = {
            split: {f"{STORED}{stride}": array for stride, array in arrays.items()}
            for split, arrays in features.items()
        }
    else:
        with torch.random.fork_rng(devices=[]):  # the alignment's initial weights are the same, stored or not
            frozen = FrozenTeacher.load(teacher.with_name("frozen_teacher"))
        teacher_taps = select_taps(frozen.taps, strides, "the frozen teacher")
    taps = taps_of(task.student, strides)
    method = importlib.import_module(METHODS[settings["method"]]).build(taps, teacher_taps, settings)
    end = settings["alpha_end"]
    weights = (settings["alpha_start"], end) if settings["schedule"] == "ramp" else (end, end)
    return DistillationTask(task.student, task.classes, task.optimisation, method, taps, weights, frozen), stored
