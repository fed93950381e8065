"""The lessons of a distilled student: one, or two after FitNets (Romero et al. 2015).

In the first of two the student learns, up to its guided layer, the teacher's hint and nothing else; where an epoch is
chosen (`student.patience`) it is by the hint loss on the validation split, not by accuracy; the regressor is dropped.
In the second the whole student is trained, from there (the FitNets log's experiment two) or with that part held as it
is (experiment one).
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from defectdistill.data.dihedral import laid
from defectdistill.models.trunk import tensors_of, trunk_of
from defectdistill.training.distillation import Distilling, distilling_task, mixed
from defectdistill.training.distributed import batch_weight
from defectdistill.training.fit import mean_over
from defectdistill.training.lesson import Lesson
from defectdistill.training.student_task import StudentTask


class Hinting(Distilling):
    """Train a student's features by the hint loss alone, which is logged as train_loss, val_loss and val_hint."""

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the hint loss of a batch."""
        logits, terms = self.distil(laid(self.answered(batch)))
        self.log("train_loss", terms["total"].detach(), **mean_over(len(logits)))
        return terms["total"] * batch_weight(batch["label"])

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        """Log the hint loss of a validation batch."""
        logits, terms = self.distil(self.answered(batch))
        for name in ("val_loss", "val_hint"):
            self.log(name, terms["total"], prog_bar=name == "val_hint", **mean_over(len(logits)))


def lessons_of(
    task: StudentTask, settings: dict[str, Any], store: Path, teacher: Path, splits: dict[str, Path], more: Path
) -> list[Lesson]:
    """Return the lessons that section `distill` of params.yaml describes, for the student in `task`; the last one's
    task is what evaluation needs. The arguments are those of `distilling_task`, and so are the errors.
    """
    given = (store, teacher, splits, more)
    distilling, arrays, further = distilling_task(task, settings, *given)
    if not settings["hint_epochs"]:
        return [Lesson(distilling, arrays, further, task.monitor_taught)]
    level, epochs = settings["hint_level"], settings["hint_epochs"]
    hinted, hint_arrays, hint_further = distilling_task(task, settings | {"method": "hint", "levels": [level]}, *given)
    rates = dataclasses.replace(task.optimisation, epochs=epochs, warmup=min(task.optimisation.warmup, epochs / 2))
    parts = task.parts() | {"optimisation": rates}
    first = mixed(Hinting, type(task))(parts, hinted.method, hinted.taps, (1.0, 1.0), hinted.teacher)
    network = task.student.network
    trunk = trunk_of(network, hinted.taps[level])
    before = {name: value.clone() for name, value in network.state_dict().items()}

    learned = tensors_of(network, trunk)

    def begin_hint() -> None:
        """Leave what lies behind the guided layer alone."""
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in learned)

    def begin() -> None:
        """Undo what batch norm behind the guided layer has seen meanwhile; hold what was trained, if asked to."""
        now = network.state_dict()
        network.load_state_dict({name: now[name] if name in learned else before[name] for name in now})
        network.requires_grad_(True)
        if settings["hold_hinted"]:
            distilling.hold(trunk)

    return [
        Lesson(first, hint_arrays, hint_further, ("val_hint", "min"), "hint", epochs, begin_hint),
        Lesson(distilling, arrays, further, task.monitor_taught, begin=begin),
    ]
