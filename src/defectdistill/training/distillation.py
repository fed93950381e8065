"""The task of distilling: a student that also learns from what the teacher said (cable paper, equation 3)."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from defectdistill import checkpoint
from defectdistill.data.dihedral import laid
from defectdistill.data.packed import open_array
from defectdistill.distill_sections import Distill
from defectdistill.distillation.answer import EVERYTHING, Answer
from defectdistill.distillation.frozen import load_any
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.distillation.pair import Pair
from defectdistill.distillation.ramp import quadratic_ramp
from defectdistill.models.normalise import normalise
from defectdistill.models.taps import Tap, select_taps
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import mean_over
from defectdistill.training.stored_answers import Arrays, mask_arrays, stored_answers
from defectdistill.training.student_task import StudentTask

# Method name → module with `build(pair, settings)`; imported when it is asked for, so that editing a method that
# another one does not contain re-runs that method alone.
METHODS = {name: f"defectdistill.distillation.{name}" for name in get_args(Distill.model_fields["method"].annotation)}
UNLABELLED = "unlabelled"  # the name of their split in a store
STORED = "teacher_"  # batches carry the stored arrays as teacher_features8, …


class Distilling:
    """Mixed into a student's task, before it: L = L_hard + λ(t)·L_distil.

    `parts` are the task's own arguments. The teacher's answers come with the batch, fp16, or from `teacher` itself;
    `method` maps the student's and the teacher's `Answer` to a dictionary of raw terms and `total`. `weights` is (λ at
    the start, λ at the end); equal values are a fixed weight. Images that do not count in the student's own loss count
    in L_distil alone. Logged per epoch beside what the task logs: every raw term and their total of both splits,
    cross-entropy, λ, and val_objective, cross-entropy + λ at the end·total: a few validation images tell epochs apart
    by what the teacher says of them better than by their labels alone.
    """

    def __init__(
        self,
        parts: dict[str, Any],
        method: nn.Module,
        taps: dict[int, Tap],
        weights: tuple[float, float],
        teacher: Frozen | None = None,
    ):
        super().__init__(**parts)
        self.method = method
        self.taps = taps
        self.weights = weights
        self.teacher = teacher
        self.held: list[str] = []

    def hold(self, modules: list[str]) -> None:
        """Keep modules of the student's network as they are: no gradient, and batch norm in evaluation mode.

        What a module holds itself: its children are held where they are named too.
        """
        self.held = modules
        for name in modules:
            for parameter in self.student.network.get_submodule(name).parameters(recurse=False):
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> "Distilling":
        """Set the mode, but for what is held."""
        super().train(mode)
        for name in self.held:
            self.student.network.get_submodule(name).training = False
        return self

    def answered(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return a batch that carries the teacher's answers: what is stored, and what it says now, as if stored."""
        if self.teacher is None:
            return batch
        said = self.teacher(normalise(batch["image"])).arrays()
        return {STORED + name: value.half() for name, value in said.items()} | batch

    def distil(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the student's logits and the method's terms for a batch that carries the teacher's answers."""
        logits, features = self.student.forward_with_features(normalise(batch["image"]), self.taps)
        said = {name.removeprefix(STORED): value for name, value in batch.items() if name.startswith(STORED)}
        return logits, self.method(self.answer(logits, features, self.method.needs), Answer.of(said))

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return L_hard + λ·L_distil of a batch."""
        batch = laid(self.answered(batch))
        logits, terms = self.distil(batch)
        truth, share = self.truth(batch), batch_weight(batch["label"])
        # Several processes may have labels in another proportion than images.
        hard = self.hard_loss(logits, truth) * (batch_weight(self.counted(batch), labelled=True) / share)
        weight = quadratic_ramp(self.current_epoch / self.optimisation.epochs, *self.weights)
        loss = hard + weight * terms["total"]
        self.log_training(logits, truth, {"loss": loss, "cross_entropy": hard, **terms_named(terms)})
        self.log("lambda", weight, **mean_over(len(logits)))
        return loss * share

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log what the task logs, the raw terms as val_NAME, and val_objective."""
        logits, terms = self.distil(self.answered(batch))
        hard = self.log_validation(logits, self.truth(batch))
        scalars = {f"val_{name}": value for name, value in terms_named(terms).items()}
        objective = hard + self.weights[1] * terms["total"]
        self.log_dict({**scalars, "val_objective": objective}, **mean_over(len(logits)))


@cache
def mixed(way: type[Distilling], task: type[StudentTask]) -> type:
    """Return a student's task with `way` (`Distilling`, or a class of it) mixed in, so that it need not know the tasks.

    A stage then depends on the task that it trains and on no other.
    """
    return type(f"{way.__name__}{task.__name__}", (way, task), {})


def terms_named(terms: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name the method's total `distillation`, so that it cannot be taken for the loss that is minimised."""
    return {"distillation" if name == "total" else name: value for name, value in terms.items()}


def distilling_task(
    task: StudentTask, settings: dict, store: Path, teacher: Path, splits: dict[str, Path], unlabelled: Path
) -> tuple[StudentTask, dict[str, Arrays], tuple[Path, Arrays] | None]:
    """Return `task` with distilling added; for each split the stored answers as further arrays for its batches; and
    the same of `unlabelled` with its folder, None where it has no images or they are not wanted.

    `settings` are the keys of params.yaml's section `distill`; `teacher` is a folder with the trained teacher and,
    beside it, `frozen_teacher`; `splits` maps a split's name in `store` to the folder of its images, `unlabelled` is
    such a folder. What was not stored the frozen teacher is asked for in every step. Raises ValueError for an unknown
    method and for a store that does not fit.
    """
    with torch.random.fork_rng(devices=[]):  # a method's initial weights are the same, stored or not
        frozen = load_any(teacher.with_name("frozen_teacher"))
    taps = task.levels(settings["levels"])
    method = method_of(task, settings, taps, frozen)
    asked = method.needs & EVERYTHING
    if asked and settings["unlabelled"] and len(open_array(unlabelled / "images.npy")):
        splits = splits | {UNLABELLED: unlabelled}  # only a teacher says something of them
    if asked:
        stored, left = stored_answers(asked, settings["levels"], store, checkpoint.content_hash(teacher), splits)
        frozen.only(left)
    else:
        levels, left = settings["levels"] if "masks" in method.needs else [], frozenset()
        stored = {split: mask_arrays(folder, task.classes, levels) for split, folder in splits.items()}
    arrays = {split: {STORED + name: array for name, array in of.items()} for split, of in stored.items()}
    further = (unlabelled, arrays.pop(UNLABELLED)) if UNLABELLED in arrays else None
    end = settings["alpha_end"]
    weights = (settings["alpha_start"], end) if settings["schedule"] == "ramp" else (end, end)
    distilling = mixed(Distilling, type(task))(task.parts(), method, taps, weights, frozen if left else None)
    return distilling, arrays, further


def method_of(task: StudentTask, settings: dict, taps: dict[int, Tap], frozen: Frozen) -> nn.Module:
    """Return the method that `settings` name for a student's task, its taps and a frozen teacher.

    Raises ValueError where there is none of this name, or the teacher does not say what it asks for.
    """
    if settings["method"] not in METHODS:
        raise ValueError(f"distill.method = {settings['method']!r}: expected one of {', '.join(METHODS)}")
    teacher_taps = select_taps(frozen.taps, settings["levels"], "the frozen teacher")
    pair = Pair(taps, teacher_taps, frozen.channels, task.classes, task.map_channels)
    method = importlib.import_module(METHODS[settings["method"]]).build(pair, settings)
    if unsaid := (method.needs & EVERYTHING) - frozen.says:
        raise ValueError(
            f"distill.method = {settings['method']} asks for the teacher's {' and '.join(sorted(unsaid))}, but this "
            f"one says {' and '.join(sorted(frozen.says))}: choose another method, or another teacher"
        )
    return method
