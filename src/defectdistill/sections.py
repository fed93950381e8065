"""The sections of `params.yaml`: every key with its type and range. No defaults: every key stands in the file.

`ingest` is in `ingest_sections.py`, the networks and their training in `model_sections.py`, `freeze` and `distill` in
`distill_sections.py`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError


def steps_or_auto(value: object) -> int | str:
    """Return what stands there, in one message where a union of pydantic's would give one for each of its types."""
    if value == "auto" or (type(value) is int and value >= 0):
        return value
    raise PydanticCustomError("steps_or_auto", "expected auto, or a whole number from 0 on")


Count = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=0)]
StepsOrAuto = Annotated[int | Literal["auto"], PlainValidator(steps_or_auto)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]

# Scores of which more is better, on the test split: neither `loss` nor an entropy, which says nothing of being right.
PROMOTED_BY = r"^test/(accuracy|macro_f1|macro_recall|macro_auc|g_mean|(f1|recall|precision|auc)/.+)$"


class Section(BaseModel):
    """A section of params.yaml: unknown keys, values of another type, infinity and NaN are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Prepare(Section):
    """Masks, split and size."""

    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)]
    resize: Literal["squash", "pad"]
    masks: Literal["auto", "given", "threshold", "given_else_threshold", "none"]
    mask_coding: Literal["auto", "binary", "zero_one", "grey", "labels", "palette", "colours"]
    mask_table: dict[str, int | list[int]] | None
    normal_classes: list[Name] | None
    protocol: Literal["grouped", "given", "random", "after_augmentation"]
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    folds: Annotated[int, Field(ge=0, le=100)]
    fold: Annotated[int, Field(ge=0)]
    near_duplicates: bool
    label_limit: Count | None
    mask_limit: Count | None

    @model_validator(mode="after")
    def has_this_fold(self) -> "Prepare":
        """Training, validation and test take three parts; a fold is one of those that there are."""
        if self.folds in (1, 2):
            raise ValueError(f"folds = {self.folds}: expected 0 (no cross-validation) or at least 3")
        if self.folds and self.protocol == "given":
            raise ValueError(
                f"folds = {self.folds} with protocol given, which has a test split of its own: set folds 0, or "
                "protocol grouped"
            )
        if self.fold >= max(1, self.folds):
            raise ValueError(f"fold = {self.fold} of folds = {self.folds}: expected 0 to {max(0, self.folds - 1)}")
        return self

    @model_validator(mode="after")
    def sets_aside_whole_photographs(self) -> "Prepare":
        """Copies of one photograph cannot be labelled in part."""
        if self.protocol == "after_augmentation" and (self.label_limit or self.mask_limit):
            raise ValueError(
                "label_limit and mask_limit need protocol grouped, given or random: after_augmentation "
                "divides copies, not photographs"
            )
        return self

    @model_validator(mode="after")
    def leaves_something_to_train_on(self) -> "Prepare":
        """The two fractions must leave training images."""
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must stay below 1: the rest is for training")
        return self


class CycleGAN(Section):
    """Settings of the synthesizer `cyclegan`."""

    good: Name
    per_class: Count
    width: Annotated[int, Field(ge=1, le=256)]
    blocks: Annotated[int, Field(ge=1, le=9)]
    steps: Count
    batch_size: Count
    lr: Positive
    cycle: NotNegative
    identity: NotNegative
    difference: Annotated[int, Field(ge=1, le=254)]
    seed: Seed


class Augment(Section):
    """Table 3 of the cable paper with quarter turns, and what else makes images to learn from."""

    copies: Annotated[int, Field(ge=0)]
    quarter_turn: Share
    rotation: Annotated[float, Field(ge=0, le=180)]
    flip: Share
    brightness: Share
    contrast: Share
    saturation: Share
    hue: Annotated[float, Field(ge=0, le=0.5)]
    padding: Annotated[int, Field(ge=0)]
    blur: NotNegative
    seed: Seed
    synthesizer: Literal["none", "cyclegan"]
    cyclegan: CycleGAN


class Evaluate(Section):
    """The evaluation."""

    batch_size: Count
    calibrate: bool
    target_accuracy: Annotated[float, Field(gt=0, le=1)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed


class Export(Section):
    """The files that are handed on."""

    int8: bool
    max_f1_drop: Share
    calibration_images: Count
    photographs: Count
    licence: Name | None


class Tracking(Section):
    """The mirror in MLflow."""

    required: bool


class Registry(Section):
    """The registered model, and when a new version of it becomes the champion."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
    metric: Annotated[str, Field(pattern=PROMOTED_BY)]
    min_gain: Annotated[float, Field(ge=0, lt=1)]


class Compute(Section):
    """The machine."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    precision: Literal["auto", "fp32", "bf16"]
    threads: Count
    devices: Count
    nodes: Count
