"""The sections of `params.yaml`: every key with its type and range. No defaults: every key stands in the file."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Stride = Literal[1, 2, 4, 8, 16, 32]
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


class Ingest(Section):
    """Where the photographs come from."""

    source: Literal["synthetic", "folder"]
    path: Name
    max_pixels: Count
    synthetic: Synthetic
    folder: Folder


class Prepare(Section):
    """Masks, split and size."""

    image_size: Annotated[int, Field(ge=32, le=1024, multiple_of=16)]
    resize: Literal["squash", "pad"]
    masks: Literal["given", "threshold", "given_else_threshold"]
    mask_coding: Literal["auto", "binary", "zero_one", "grey", "labels", "palette", "colours"]
    mask_table: dict[str, int | list[int]] | None
    val_fraction: Annotated[float, Field(gt=0, lt=1)]
    test_fraction: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
    folds: Annotated[int, Field(ge=0, le=100)]
    fold: Annotated[int, Field(ge=0)]
    near_duplicates: bool

    @model_validator(mode="after")
    def has_this_fold(self) -> "Prepare":
        """Training, validation and test take three parts; a fold is one of those that there are."""
        if self.folds in (1, 2):
            raise ValueError(f"folds = {self.folds}: expected 0 (no cross-validation) or at least 3")
        if self.fold >= max(1, self.folds):
            raise ValueError(f"fold = {self.fold} of folds = {self.folds}: expected 0 to {max(0, self.folds - 1)}")
        return self

    @model_validator(mode="after")
    def leaves_something_to_train_on(self) -> "Prepare":
        """The two fractions must leave training images."""
        if self.val_fraction + self.test_fraction >= 1:
            raise ValueError("val_fraction + test_fraction must stay below 1: the rest is for training")
        return self


class Augment(Section):
    """Table 3 of the cable paper."""

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


class Teacher(Section):
    """The segmentation network and its training."""

    encoder: Name
    width: Annotated[int, Field(ge=1, le=512)]  # model_json.py refuses a wider one
    weights: Name
    target: Literal["binary", "classes"]
    loss: Literal["ce", "ce_dice", "ce_dice_image"]
    lr: Positive
    schedule: Literal["constant", "cosine"]
    weight_decay: NotNegative
    batch_size: Count
    epochs: Count
    patience: Count
    seed: Seed

    @model_validator(mode="after")
    def knows_the_image(self) -> "Teacher":
        """Only a teacher that tells classes apart can be asked for an image's class."""
        if self.target == "binary" and self.loss == "ce_dice_image":
            raise ValueError("loss ce_dice_image asks for an image's class: choose target classes, or loss ce_dice")
        return self

    @model_validator(mode="after")
    def has_such_weights(self) -> "Teacher":
        """ImageNet weights exist for the library's encoders only."""
        if self.encoder == "plain" and self.weights == "imagenet":
            raise ValueError("encoder plain has no ImageNet weights: choose another encoder (resnet34) or weights none")
        return self


class Freeze(Section):
    """Which levels of the teacher are kept, whether its class maps too, and whether what they say is stored."""

    levels: Annotated[list[Stride], Field(min_length=1)]
    class_maps: bool
    store: Literal["auto", "always", "never"]
    store_limit_gb: NotNegative
    batch_size: Count


class Student(Section):
    """The classifier and its training, shared by `baseline` and `distill`."""

    arch: Name
    weights: Name
    lr: Positive
    min_lr: NotNegative
    warmup: NotNegative
    weight_decay: NotNegative
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    batch_size: Annotated[int, Field(ge=2)]
    epochs: Count
    patience: Count
    seed: Seed

    @model_validator(mode="after")
    def warms_up_in_time(self) -> "Student":
        """The warm-up must end before the training does."""
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup = {self.warmup} must be smaller than epochs = {self.epochs}")
        return self

    @model_validator(mode="after")
    def decays(self) -> "Student":
        """The rate falls from lr to min_lr."""
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr = {self.min_lr} must not be larger than lr = {self.lr}")
        return self


class Terms(Section):
    """The terms of the fused feature loss."""

    mse: bool
    cosine: bool
    ssim: bool


class Weights(Section):
    """What each part of the method `combined` is multiplied by; 0 switches it off."""

    feature_fusion: NotNegative
    class_map: NotNegative
    soft_targets: NotNegative


class Distill(Section):
    """How the teacher's knowledge reaches the student."""

    method: Literal["combined", "feature_fusion", "class_map", "soft_targets", "masks"]
    weights: Weights
    unlabelled: bool
    levels: Annotated[list[Stride], Field(min_length=1)]
    temperature: Positive
    terms: Terms
    beta: NotNegative
    gamma: NotNegative
    align: bool
    schedule: Literal["ramp", "fixed"]
    alpha_start: NotNegative
    alpha_end: NotNegative

    @model_validator(mode="after")
    def has_a_term(self) -> "Distill":
        """A loss without terms distils nothing."""
        if not any(self.terms.model_dump().values()):
            raise ValueError("every one of distill.terms is off: nothing would be distilled; switch one on")
        return self

    @model_validator(mode="after")
    def has_a_part(self) -> "Distill":
        """A sum without parts distils nothing."""
        if self.method == "combined" and not any(self.weights.model_dump().values()):
            raise ValueError("every one of distill.weights is 0: nothing would be distilled; raise one")
        return self

    def teaches_unlabelled(self) -> bool:
        """Whether the student learns from photographs without a label: masks say nothing of them."""
        return self.unlabelled and self.method != "masks"

    def parts(self) -> set[str]:
        """Return the methods that take part."""
        if self.method != "combined":
            return {self.method}
        return {name for name, weight in self.weights.model_dump().items() if weight > 0}


class Evaluate(Section):
    """The evaluation."""

    batch_size: Count
    calibrate: bool
    target_accuracy: Annotated[float, Field(gt=0, le=1)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    seed: Seed


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
