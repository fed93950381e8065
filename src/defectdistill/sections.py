"""The sections of `params.yaml`: every key with its type and range. No defaults: every key stands in the file.

Those of the networks and their training are in `model_sections.py`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
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


class Synthetic(Section):
    """Settings of the source `synthetic`."""

    seed: Seed
    image_size: Annotated[int, Field(ge=64, le=2048)]
    short_circuit: Count
    fire_induced_short_circuit: Count
    flame: Count
    unlabelled: Annotated[int, Field(ge=0)]


class Folder(Section):
    """Settings of the source `folder`."""

    groups: Name | None
    group_column: Name | None
    class_level: int | None


class Severstal(Section):
    """Settings of the source `severstal`."""

    table: Name
    images: Name
    good: bool


class Cifar10(Section):
    """Settings of the source `cifar10`."""

    per_class: Count | None


class Shapes(Section):
    """Settings of the source `shapes`."""

    seed: Seed
    train_per_class: Count
    test_per_class: Count


class Tiles(Section):
    """Settings of the source `tiles`: how many tiles of each class to learn from, and of every class to test."""

    seed: Seed
    cracks: Count
    good: Count
    patches: Count
    pits: Count
    scratches: Count
    test_per_class: Count


class Strips(Section):
    """Settings of the source `strips`."""

    seed: Seed
    images: Annotated[int, Field(ge=4)]  # one of each class at least
    image_height: Annotated[int, Field(ge=64, le=2048)]
    image_width: Annotated[int, Field(ge=64, le=8192)]


class Ingest(Section):
    """Where the photographs come from."""

    source: Literal["synthetic", "folder", "severstal", "cifar10", "shapes", "tiles", "strips"]
    path: Name
    max_pixels: Count
    synthetic: Synthetic
    folder: Folder
    severstal: Severstal
    cifar10: Cifar10
    shapes: Shapes
    tiles: Tiles
    strips: Strips


class Prepare(Section):
    """Masks, split and size."""

    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)]
    resize: Literal["squash", "pad"]
    masks: Literal["given", "threshold", "given_else_threshold", "none"]
    mask_coding: Literal["auto", "binary", "zero_one", "grey", "labels", "palette", "colours"]
    mask_table: dict[str, int | list[int]] | None
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
    """Table 3 of the cable paper, and what else makes images to learn from."""

    copies: Annotated[int, Field(ge=0)]
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

    def table3(self) -> dict[str, float]:
        """Return the keys of Table 3 alone, with the number of copies and the seed."""
        return self.model_dump(exclude={"synthesizer", "cyclegan"})


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
