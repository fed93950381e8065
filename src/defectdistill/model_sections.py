"""The sections of `params.yaml` for teacher and student; see `sections.py`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from defectdistill.sections import Count, Name, NotNegative, Positive, Section, Seed, Steps, StepsOrAuto


class UNet3PlusTeacher(Section):
    """A U-Net3+ that learns from the masks, and its training."""

    network: Literal["unet3plus"]
    encoder: Name
    width: Annotated[int, Field(ge=1, le=512)]  # model_forms.py refuses a wider one
    weights: Name
    target: Literal["binary", "classes"]
    loss: Literal["ce", "ce_dice", "ce_dice_image"]
    lr: Positive
    schedule: Literal["constant", "cosine"]
    weight_decay: NotNegative
    batch_size: Annotated[int, Field(ge=2)]
    epochs: Count
    min_steps: Steps
    patience: Count | None
    seed: Seed

    @property
    def masked_only(self) -> bool:
        """Whether images without a mask teach it nothing."""
        return self.loss != "ce_dice_image"

    @model_validator(mode="after")
    def knows_the_image(self) -> "UNet3PlusTeacher":
        """Only a teacher that tells classes apart can be asked for an image's class."""
        if self.target == "binary" and self.loss == "ce_dice_image":
            raise ValueError("loss ce_dice_image asks for an image's class: choose target classes, or loss ce_dice")
        return self

    @model_validator(mode="after")
    def has_such_weights(self) -> "UNet3PlusTeacher":
        """ImageNet weights exist for the library's encoders only."""
        if self.encoder == "plain" and self.weights == "imagenet":
            raise ValueError("encoder plain has no ImageNet weights: choose another encoder (resnet34) or weights none")
        return self

    def says(self, class_maps: bool) -> set[str]:
        """Return what the frozen teacher can be asked for, if it keeps its class maps or not."""
        answers = {"maps", "scores"} if self.target == "classes" else {"maps"}
        return {"features", *(answers if class_maps else ())}


class Training(Section):
    """How a student, or a teacher that could be one, is trained, whatever it learns."""

    weights: Name
    lr: Positive
    min_lr: NotNegative
    warmup: NotNegative
    weight_decay: NotNegative
    batch_size: Annotated[int, Field(ge=2)]
    epochs: Count
    min_steps: StepsOrAuto
    patience: Count | None
    seed: Seed

    @property
    def masked_only(self) -> bool:
        """Whether images without a mask teach it nothing: here each has its label."""
        return False

    @model_validator(mode="after")
    def warms_up_in_time(self) -> "Training":
        """The warm-up must end before the training does."""
        if self.warmup >= self.epochs:
            raise ValueError(f"warmup = {self.warmup} must be smaller than epochs = {self.epochs}")
        return self

    @model_validator(mode="after")
    def decays(self) -> "Training":
        """The rate falls from lr to min_lr."""
        if self.min_lr > self.lr:
            raise ValueError(f"min_lr = {self.min_lr} must not be larger than lr = {self.lr}")
        return self


class Classifier(Training):
    """A classifier, which learns from labels."""

    arch: Name
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    class_weights: Literal["none", "balanced", "adaptive"]


class ResUNet(Training):
    """A ResUNet, which learns from masks."""

    encoder: Name
    global_context: bool
    feature_fusion: bool

    @model_validator(mode="after")
    def has_an_encoder_with_levels(self) -> "ResUNet":
        """The plain encoder belongs to U-Net3+."""
        if self.encoder == "plain":
            raise ValueError("encoder plain is U-Net3+'s: name one of segmentation-models-pytorch (tu-convnext_tiny)")
        return self


class ClassificationStudent(Classifier):
    """Section `student` of a student that classifies; shared by `baseline` and `distill`."""

    task: Literal["classification"]
    dihedral: bool


class SegmentationStudent(ResUNet):
    """Section `student` of a student that segments."""

    task: Literal["segmentation"]
    dihedral: bool


class ClassifierTeacher(Classifier):
    """A classifier that learns from the labels alone, with the keys of a student but `task` and `dihedral`."""

    network: Literal["classifier"]

    def says(self, class_maps: bool) -> set[str]:
        """Return what the frozen teacher can be asked for."""
        return {"features", "scores"}


class ResUNetTeacher(ResUNet):
    """A ResUNet as a teacher, with the keys of a student that segments but `task` and `dihedral`."""

    network: Literal["resunet"]

    def says(self, class_maps: bool) -> set[str]:
        """Return what the frozen teacher can be asked for, if it keeps its class maps or not."""
        return {"features", *({"maps", "scores"} if class_maps else ())}


Student = Annotated[ClassificationStudent | SegmentationStudent, Field(discriminator="task")]
Teacher = Annotated[UNet3PlusTeacher | ResUNetTeacher | ClassifierTeacher, Field(discriminator="network")]
