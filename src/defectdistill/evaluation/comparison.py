"""A table of classifiers that were trained on the same images, each row with several seeds: what stands in it.

A pipeline says in `rows.yaml`, under `table`, which columns it wants; the rows are those of its `paper.csv`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from ruamel.yaml import YAML

from defectdistill.data.tables import read_table
from defectdistill.distillation.soft_targets import soft_target_loss
from defectdistill.evaluation.ablation import Scored
from defectdistill.evaluation.report_words import per_cent, signed, span
from defectdistill.evaluation.scores import confusion
from defectdistill.evaluation.speed import frames_per_second
from defectdistill.params import describe
from defectdistill.predict import Predictor
from defectdistill.sections import Name, Section

TEACHER = "teacher"  # the row of this name is the teacher itself
# What is not a score of the test split, and so has no interval.
BESIDE = ("train_accuracy", "hint_loss", "soft_loss", "parameters", "images_per_second")


class Question(Section):
    """Does `row` differ from `against` by more than `margin`, in the score that is drawn?"""

    words: Name
    row: Name
    against: Name
    margin: Annotated[float, Field(gt=0)]


class Table(Section):
    """The form of `table` in rows.yaml: `columns` are scores and what each is called, `drawn` is one of them; rows are
    compared with the row `reference`; `confusion` names those whose confusion matrices are drawn."""

    title: Name
    reference: Name
    drawn: Name
    columns: Annotated[dict[str, Name], Field(min_length=1)]
    confusion: list[str]
    question: Question | None

    @model_validator(mode="after")
    def draws_a_score(self) -> "Table":
        """What is drawn has an interval, and a heading."""
        if self.drawn not in self.scores():
            raise ValueError(f"drawn = {self.drawn!r}: expected one of the columns {', '.join(self.scores())}")
        return self

    def scores(self) -> list[str]:
        """Return the columns that are scores of the test split."""
        return [name for name in self.columns if name not in BESIDE]


@dataclass(frozen=True)
class Answers:
    """What the trainings of a row say of the test images, (seeds, N, K), what is measured `beside`, a mean each, and
    the folder of the first one's model."""

    probs: np.ndarray
    beside: Mapping[str, float]
    folder: Path


def read_comparison(path: Path, rows: Sequence[str]) -> Table:
    """Return the table that a rows.yaml asks for; raises ValueError where it has none, another form, or names a row
    that is not among `rows`."""
    asked = YAML(typ="safe", pure=True).load(path).get("table")
    if asked is None:
        raise ValueError(f"{path} has no `table`: expected title, reference, drawn, columns, confusion and question")
    try:
        table = Table.model_validate(asked)
    except ValidationError as error:
        lines = "".join(f"\n  {describe(problem)}" for problem in error.errors())
        raise ValueError(f"{path}, under `table`:{lines}") from None
    question = [table.question.row, table.question.against] if table.question else []
    unknown = sorted({table.reference, *table.confusion, *question} - set(rows))
    if unknown:
        raise ValueError(f"{path}, under `table`, names the rows {unknown}: expected some of {', '.join(rows)}")
    if table.reference == TEACHER:
        raise ValueError(f"{path}, under `table`: reference: {TEACHER} is trained once, so name a row with seeds")
    return table


def ask(folder: Path, test: np.ndarray, train: np.ndarray, labels: np.ndarray) -> Answers:
    """Ask one training: `folder` holds its model; `test` and `train` are images uint8 (N, S, S, 3), `labels` those of
    `train`, int."""
    predictor = Predictor.load(folder)
    right = predictor(train).probabilities.argmax(axis=1) == labels
    parameters = sum(parameter.numel() for parameter in predictor.student.parameters())
    beside = {"train_accuracy": float(right.mean()), "parameters": parameters / 1e6}
    return Answers(predictor(test).probabilities[None], beside, folder)


def ask_row(folder: Path, teacher: Answers, temperature: float, images: Mapping[str, Any]) -> Answers:
    """Ask the training of a row in its `folder`, as `ask` does with `images`, with the losses of distilling beside."""
    said = ask(folder / "models/student", **images)
    losses = {"soft_loss": soft_loss(said.probs[0], teacher.probs[0], temperature), "hint_loss": hint_loss(folder)}
    known = {name: value for name, value in losses.items() if value is not None}
    return replace(said, beside={**said.beside, **known})


def soft_loss(probs: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Return KL(teacher ‖ student) of answers (N, K) softened by τ, times τ²: the soft loss of the method.

    Logarithms of probabilities are logits up to a constant, which the softmax forgets.
    """
    student, teacher = (torch.from_numpy(np.log(np.maximum(said, 1e-300))) for said in (probs, teacher))
    return soft_target_loss(student, teacher, temperature).item()


def hint_loss(folder: Path) -> float | None:
    """Return the hint loss on the validation split of what the first stage kept; None where there was no such stage."""
    history = folder / "metrics/distill/hint.csv"
    rows = read_table(history) if history.exists() else []
    return next((float(row["val_hint"]) for row in rows if float(row["kept"])), None)


def joined(trainings: Sequence[Answers]) -> Answers:
    """Return the answers of a row's trainings as one, with the means of what is measured beside them."""
    names = trainings[0].beside
    beside = {name: float(np.mean([each.beside[name] for each in trainings])) for name in names}
    return Answers(np.concatenate([each.probs for each in trainings]), beside, trainings[0].folder)


def with_speed(rows: Mapping[str, Answers], side: int) -> dict[str, Answers]:
    """Return the rows with `images_per_second`, of `side` × `side` pixels, one at a time on the processor."""
    networks = {name: Predictor.load(row.folder).student for name, row in rows.items()}
    speed = frames_per_second(networks, side, torch.device("cpu"))
    return {name: replace(row, beside={**row.beside, "images_per_second": speed[name]}) for name, row in rows.items()}


def worst_pair(probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> tuple[str, str, float]:
    """Return the two classes that are most often taken for each other, and the share of their images that are.

    `probs` is (seeds, N, K), `labels` int (N,); pairs that are equally bad stand in the order of the classes.
    """
    counts = sum(confusion(each, labels, len(classes)) for each in probs)
    taken, images = counts + counts.T, counts.sum(axis=1)
    shares = np.triu(taken / np.maximum(1, images[:, None] + images[None, :]), k=1)
    first, second = np.unravel_index(shares.argmax(), shares.shape)
    return classes[first], classes[second], float(shares[first, second])


def verdict(question: Question, compared: Scored, words: str, seeds: int) -> str:
    """Return the answer to a question: the difference with its interval, and whether it counts.

    One seed answers nothing: what another would change its interval does not know.
    No only where the whole interval is within the margin, yes only where all of it is beyond: else nobody can tell.
    """
    value, ends = compared.difference
    found = f"{question.row} − {question.against}, {words}: {signed(value)}"
    if ends is None:
        return f"{question.words} It cannot be told: {found}, without an interval."
    if seeds == 1:
        return f"{question.words} It cannot be told from one seed: {found} ({span(ends)})."
    found, margin = f"{found} ({span(ends)})", f"{100 * question.margin:g} points"
    if max(abs(end) for end in ends) <= question.margin:
        return f"{question.words} No: {found}, within {margin}."
    if ends[0] > question.margin or ends[1] < -question.margin:
        return f"{question.words} Yes: {found}, more than {margin}."
    return f"{question.words} It cannot be told: {found}; {margin} lie inside."


def confused(row: str, probs: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> str:
    """Return a row's worst pair in words."""
    first, second, share = worst_pair(probs, labels, classes)
    return f"Most often taken for each other ({row}): {first} and {second}, {per_cent(share)} of their images."
