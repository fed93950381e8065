"""What is known of student and teacher when a method is built."""

from dataclasses import dataclass

from defectdistill.models.taps import Tap


@dataclass(frozen=True)
class Pair:
    """The levels that are distilled, {stride: tap} of both; the teacher's output channels; the number of classes."""

    student: dict[int, Tap]
    teacher: dict[int, Tap]
    channels: int
    classes: int
