"""The task of distilling: a student that also learns from what the teacher said (cable paper, equation 3)."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from defectdistill import checkpoint
from defectdistill.data.dihedral import laid
from defectdistill.data.packed import masked_in, open_array
from defectdistill.distill_sections import Distill
from defectdistill.distillation.answer import EVERYTHING, FEATURES, MAPS, SCORES, Answer
from defectdistill.distillation.feature_store import open_store, read_manifest
from defectdistill.distillation.frozen import load_any
from defectdistill.distillation.frozen_base import Frozen
from defectdistill.distillation.pair import Pair
from defectdistill.distillation.ramp import quadratic_ramp
from defectdistill.models.class_map import mask_map
from defectdistill.models.normalise import normalise
from defectdistill.models.taps import Tap, select_taps
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import mean_over
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


Arrays = dict[str, np.ndarray]


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
    if settings["method"] not in METHODS:
        raise ValueError(f"distill.method = {settings['method']!r}: expected one of {', '.join(METHODS)}")
    strides, trained = settings["levels"], checkpoint.content_hash(teacher)
    with torch.random.fork_rng(devices=[]):  # a method's initial weights are the same, stored or not
        frozen = load_any(teacher.with_name("frozen_teacher"))
    taps, teacher_taps = task.levels(strides), select_taps(frozen.taps, strides, "the frozen teacher")
    pair = Pair(taps, teacher_taps, frozen.channels, task.classes, task.map_channels)
    method = importlib.import_module(METHODS[settings["method"]]).build(pair, settings)
    if unsaid := (method.needs & EVERYTHING) - frozen.says:
        raise ValueError(
            f"distill.method = {settings['method']} asks for the teacher's {' and '.join(sorted(unsaid))}, but this "
            f"one says {' and '.join(sorted(frozen.says))}: choose another method, or another teacher"
        )
    if settings["unlabelled"] and method.needs & EVERYTHING and len(open_array(unlabelled / "images.npy")):
        splits = splits | {UNLABELLED: unlabelled}  # only a teacher says something of them
    if not method.needs & EVERYTHING:
        levels = strides if "masks" in method.needs else []
        stored = {split: mask_arrays(folder, task.classes, levels) for split, folder in splits.items()}
        frozen = None
    else:
        needed, manifest = method.needs & EVERYTHING, read_manifest(store, trained)
        evidence = any(SCORES in split["arrays"] for split in manifest["splits"].values())
        kept = needed if manifest["stored"] else needed & ({"scores"} if evidence else set())
        names = names_of(kept, strides)
        stored = {
            split: open_store(store, trained, split, folder, names) if names else {} for split, folder in splits.items()
        }
        frozen.only(needed - kept)
        frozen = frozen if needed - kept else None
    arrays = {split: {STORED + name: array for name, array in of.items()} for split, of in stored.items()}
    further = (unlabelled, arrays.pop(UNLABELLED)) if UNLABELLED in arrays else None
    end = settings["alpha_end"]
    weights = (settings["alpha_start"], end) if settings["schedule"] == "ramp" else (end, end)
    distilling = mixed(Distilling, type(task))(task.parts(), method, taps, weights, frozen)
    return distilling, arrays, further


def names_of(needs: frozenset[str], strides: list[int]) -> list[str]:
    """Return the names of the arrays that a method reads."""
    levels = [name for part, name in (("features", FEATURES), ("maps", MAPS)) if part in needs]
    return [f"{name}{stride}" for name in levels for stride in strides] + [SCORES] * ("scores" in needs)


def mask_arrays(folder: Path, classes: int, strides: list[int]) -> Arrays:
    """Return the true masks of a split in the form of class maps; all zero for images without a mask."""
    count, side = open_array(folder / "images.npy").shape[:2]
    masked = np.flatnonzero(masked_in(folder))
    masks = open_array(folder / "masks.npy") if len(masked) else None
    arrays = {}
    for stride in strides:
        small = -(-side // stride)
        arrays[f"{MAPS}{stride}"] = maps = np.zeros((count, small, small, classes + 1), dtype=np.float16)
        for row in masked:
            mask = torch.from_numpy(np.array(masks[row]))
            maps[row] = mask_map(mask.unsqueeze(0), classes, stride)[0].permute(1, 2, 0).numpy()
    return arrays
