"""The sections of `params.yaml` for what passes from teacher to student: `freeze` and `distill`; see `sections.py`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from defectdistill.sections import Count, NotNegative, Positive, Section

Stride = Literal[1, 2, 4, 8, 16, 32]


class Freeze(Section):
    """Which levels of the teacher are kept, whether its class maps, whose evidence copies have, what is stored."""

    levels: Annotated[list[Stride], Field(min_length=1)]
    class_maps: bool
    evidence_from: Literal["original", "copy"]
    store: Literal["auto", "always", "never"]
    store_limit_gb: NotNegative
    batch_size: Count


# What each method asks of a teacher.
ASKED = {
    "feature_fusion": "features",
    "hint": "features",
    "relational": "features",
    "class_map": "maps",
    "channelwise": "maps",
    "soft_targets": "scores",
}


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

    method: Literal[
        "combined",
        "feature_fusion",
        "class_map",
        "soft_targets",
        "hint",
        "channelwise",
        "relational",
        "masks",
        "none",
    ]
    weights: Weights
    unlabelled: bool
    levels: Annotated[list[Stride], Field(min_length=1)]
    temperature: Positive
    terms: Terms
    beta: NotNegative
    gamma: NotNegative
    distance: NotNegative
    angle: NotNegative
    align: bool
    schedule: Literal["ramp", "fixed"]
    alpha_start: NotNegative
    alpha_end: NotNegative
    hint_epochs: Annotated[int, Field(ge=0)]
    hint_level: Stride
    hold_hinted: bool

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

    def parts(self) -> set[str]:
        """Return the methods that take part."""
        if self.method != "combined":
            return {self.method}
        return {name for name, weight in self.weights.model_dump().items() if weight > 0}
