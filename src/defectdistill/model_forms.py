"""The forms of `model.json`, one for each kind of model that may be read from disk.

Keys that are passed on to a network are listed one by one: an unknown key beside them (`pretrained`) could start a
download. Unknown keys at the top, which nothing reads, are let through.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LARGEST_WIDTH = 512  # of a teacher: 1.7 billion parameters, 7 GB
LARGEST_SIDE = 4096  # pixels that a photograph is enlarged to, at most
MOST_NAMES = 10_000

Label = Annotated[str, Field(min_length=1, max_length=255)]
Names = Annotated[list[Label], Field(min_length=1, max_length=MOST_NAMES)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Width = Annotated[int, Field(ge=1, le=LARGEST_WIDTH)]


class Part(BaseModel):
    """A part whose keys reach a network or the preprocessing: no other keys, no values of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Preprocessing(Part):
    """How a photograph becomes what the network sees."""

    size: Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
    resize: Literal["squash", "pad"]
    normalise: Literal["imagenet"]


class StudentPart(Part):
    """What builds a student."""

    arch: Name


class UNet3PlusPart(Part):
    """What builds a teacher: the keywords of `UNet3Plus`."""

    encoder: Name
    width: Width
    in_channels: Literal[3]
    out_channels: Annotated[int, Field(ge=1, le=MOST_NAMES)]


class ResUNetPart(Part):
    """What builds a ResUNet: the keywords of `ResUNet`."""

    encoder: Name
    classes: Annotated[int, Field(ge=1, le=MOST_NAMES)]
    global_context: bool
    feature_fusion: bool


class FrozenResUNetPart(ResUNetPart):
    """What builds a frozen ResUNet: see `FrozenResUNet`."""

    class_maps: bool
    strides: Annotated[list[Annotated[int, Field(ge=1, le=32)]], Field(min_length=1, max_length=6)]


class FrozenUNet3PlusPart(Part):
    """What builds a frozen teacher: see `FrozenUNet3Plus`."""

    encoder: Name
    width: Width
    in_channels: Literal[3]
    out_channels: Annotated[int, Field(ge=1, le=MOST_NAMES)]
    class_maps: bool
    strides: Annotated[list[Annotated[int, Field(ge=1, le=32)]], Field(min_length=1, max_length=6)]


class FrozenClassifierPart(Part):
    """What builds a frozen classifier: see `FrozenClassifier`."""

    arch: Name
    classes: Annotated[int, Field(ge=1, le=MOST_NAMES)]
    strides: Annotated[list[Annotated[int, Field(ge=1, le=32)]], Field(min_length=1, max_length=6)]


class ModelJson(BaseModel):
    """A model.json: the key by which its kind is known, and what this kind is called."""

    model_config = ConfigDict(strict=True, frozen=True)
    key: ClassVar[str]
    kind: ClassVar[str]
    example: ClassVar[str]


class Classifier(ModelJson):
    """The model.json of a student or baseline."""

    key, kind, example = "student", "classifier", "models/student"
    student: StudentPart
    classes: Names
    preprocessing: Preprocessing

    @field_validator("classes")
    @classmethod
    def are_different(cls, classes: list[str]) -> list[str]:
        """A class has one name, a name one class; and a name can be printed."""
        if len(set(classes)) < len(classes):
            raise ValueError("a class stands there twice")
        for name in classes:
            if not name.isprintable():
                raise ValueError(f"the class {name!r} holds what cannot be printed")
        return classes


class UNet3Plus(ModelJson):
    """The model.json of a U-Net3+, which is a teacher."""

    key, kind, example = "unet3plus", "teacher", "models/teacher"
    unet3plus: UNet3PlusPart
    channels: Names
    normal: Annotated[list[Label], Field(max_length=MOST_NAMES)] = []
    preprocessing: Preprocessing

    @model_validator(mode="after")
    def names_every_channel(self) -> Self:
        """Each output channel says what it marks, and one at least marks a defect."""
        if not {*self.normal} < {*self.channels}:
            raise ValueError(f"normal holds {', '.join(self.normal)}; some of the channels belong there, not all")
        if len(self.channels) != self.unet3plus.out_channels:
            raise ValueError(f"{len(self.channels)} channels are named, out_channels is {self.unet3plus.out_channels}")
        return self


class ResUNet(ModelJson):
    """The model.json of a ResUNet, student or teacher."""

    key, kind, example = "resunet", "ResUNet", "models/student of a student that segments"
    resunet: ResUNetPart
    channels: Names
    normal: ClassVar[list[str]] = []  # its masks alone teach it: it sees no class without marks
    preprocessing: Preprocessing

    @model_validator(mode="after")
    def names_every_channel(self) -> Self:
        """Each output channel says what it marks."""
        if len(self.channels) != self.resunet.classes:
            raise ValueError(f"{len(self.channels)} channels are named, classes is {self.resunet.classes}")
        return self


class FrozenResUNet(ModelJson):
    """The model.json of a frozen ResUNet."""

    key, kind, example = "frozen_resunet", "frozen ResUNet", "models/frozen_teacher"
    frozen_resunet: FrozenResUNetPart


class FrozenUNet3Plus(ModelJson):
    """The model.json of a frozen U-Net3+."""

    key, kind, example = "frozen_teacher", "frozen teacher", "models/frozen_teacher"
    frozen_teacher: FrozenUNet3PlusPart


class FrozenClassifier(ModelJson):
    """The model.json of a frozen classifier."""

    key, kind, example = "frozen_classifier", "frozen classifier", "models/frozen_teacher"
    frozen_classifier: FrozenClassifierPart
