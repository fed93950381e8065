"""What is known of student and teacher when a method is built."""

from dataclasses import dataclass

from torch import nn

from defectdistill.models.taps import Tap


@dataclass(frozen=True)
class Pair:
    """The levels that are distilled, {stride: tap} of both; the teacher's output channels; the number of classes; the
    channels of the student's own class map, background included, 0 where it has none.
    """

    student: dict[int, Tap]
    teacher: dict[int, Tap]
    channels: int
    classes: int
    student_maps: int = 0

    def map_heads(self, channels: int) -> nn.ModuleDict:
        """Return for each level what reads a class map of `channels` from the student, by stride.

        A 1×1 convolution reads it from a classifier's features. A student that segments has a map of its own: it is
        taken as it is, or through a 1×1 convolution where the channels differ (a teacher of any defect, say).
        """
        if self.student_maps == channels:
            return nn.ModuleDict({str(stride): nn.Identity() for stride in self.student})
        incoming = {stride: self.student_maps or tap.channels for stride, tap in self.student.items()}
        return nn.ModuleDict({str(stride): nn.Conv2d(given, channels, 1) for stride, given in incoming.items()})
