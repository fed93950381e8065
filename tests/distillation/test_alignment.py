import pytest
import torch
from torch import nn

from defectdistill.distillation.alignment import Alignment, ChannelAverage, match_size


def test_the_layers_are_those_of_equation_5():
    layers = list(Alignment(6, 10).layers)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.BatchNorm2d]
    first, last = layers[0], layers[3]
    assert (first.in_channels, first.out_channels, first.kernel_size) == (6, 6, (5, 5))
    assert (last.in_channels, last.out_channels, last.kernel_size) == (6, 10, (1, 1))


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (7, 5)])
def test_alignment_keeps_the_size_and_sets_the_channels(size):
    assert Alignment(6, 10).eval()(torch.randn(1, 6, *size)).shape == (1, 10, *size)


def test_channel_average_by_hand():
    x = torch.tensor([1.0, 3.0, 10.0, 20.0]).reshape(1, 4, 1, 1)
    assert ChannelAverage(2)(x).flatten().tolist() == [2.0, 15.0]
    assert ChannelAverage(8)(x).flatten().tolist() == [1.0, 1.0, 3.0, 3.0, 10.0, 10.0, 20.0, 20.0]


def test_match_size_leaves_equal_sizes_alone_and_resamples_others():
    student, teacher = torch.randn(1, 2, 8, 8), torch.randn(1, 2, 8, 8)
    assert match_size(student, teacher) is student
    assert match_size(student, torch.randn(1, 2, 4, 6)).shape == (1, 2, 4, 6)
