"""Bring a student's feature level to the shape of the teacher's (cable paper, equation 5)."""

import torch
import torch.nn.functional as F
from torch import nn


class Alignment(nn.Module):
    """Conv1×1(ReLU(BN(Conv5×5(x)))) → BN: from the student's channels to the teacher's.

    [choice] The hidden width is the student's, so that the module does not dwarf the student; a last batch norm puts
    its output on the scale of normalised features.
    """

    def __init__(self, student_channels: int, teacher_channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(student_channels, student_channels, kernel_size=5, padding=2, bias=False),
            nn.BatchNorm2d(student_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(student_channels, teacher_channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(teacher_channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, student, H, W) → (N, teacher, H, W)."""
        return self.layers(x)


class ChannelAverage(nn.Module):
    """The stand-in without anything to learn, for the ablation "no alignment".

    [choice] The channels are averaged (or repeated) in adjacent groups to the teacher's number: the paper does not
    say how it compared features of unequal width.
    """

    def __init__(self, teacher_channels: int):
        super().__init__()
        self.teacher_channels = teacher_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, student, H, W) → (N, teacher, H, W)."""
        pixels = x.flatten(2).transpose(1, 2)  # (N, H·W, student)
        averaged = F.adaptive_avg_pool1d(pixels, self.teacher_channels)
        return averaged.transpose(1, 2).unflatten(2, x.shape[2:])


def match_size(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Bilinearly resample (N, C, h, w) to the teacher's height and width, where they differ."""
    if student.shape[2:] == teacher.shape[2:]:
        return student
    return F.interpolate(student, size=teacher.shape[2:], mode="bilinear")
