import pytest
import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.models.small_map_convolution import SmallMapConv2d, convolve_small, small_maps_as_products
from defectdistill.models.students import build_student


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "sides"),
    [
        ((3, 3), (1, 1), (1, 1), (4, 5)),
        ((3, 3), (2, 2), (1, 1), (8, 7)),
        ((1, 1), (2, 2), (0, 0), (7, 7)),
        ((5, 5), (1, 1), (2, 2), (3, 3)),
        ((1, 3), (1, 2), (0, 1), (5, 6)),
        ((2, 2), (2, 2), (0, 0), (5, 4)),
    ],
)
@pytest.mark.parametrize("has_bias", [True, False])
def test_it_is_the_convolution(kernel, stride, padding, sides, has_bias):
    generator = torch.Generator().manual_seed(0)

    def leaf(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    x, weight, bias = leaf(2, 6, *sides), leaf(4, 6, *kernel), leaf(4) if has_bias else None
    leaves = [one for one in (x, weight, bias) if one is not None]
    ours, reference = convolve_small(x, weight, bias, stride, padding), F.conv2d(x, weight, bias, stride, padding)
    torch.testing.assert_close(ours, reference)
    probe = torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    for got, expected in zip(
        torch.autograd.grad((ours * probe).sum(), leaves), torch.autograd.grad((reference * probe).sum(), leaves),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(got, expected)


@pytest.fixture
def called(monkeypatch):
    """The shapes of the inputs that were convolved as products."""
    shapes = []

    def noted(x, *rest):
        shapes.append(tuple(x.shape))
        return convolve_small(x, *rest)

    monkeypatch.setattr("defectdistill.models.small_map_convolution.convolve_small", noted)
    return shapes


def test_only_small_maps_only_in_training(called):
    """256 channels, 3 × 3: at most 576 positions."""
    network = nn.Sequential(nn.Conv2d(256, 8, 3, padding=1))
    with small_maps_as_products(network):
        network(torch.zeros(9, 256, 8, 8))
        assert called == [(9, 256, 8, 8)]
        network(torch.zeros(10, 256, 8, 8))
        network.eval()(torch.zeros(9, 256, 8, 8))
        assert len(called) == 1
        with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
            network.train()(torch.zeros(1, 256, 0, 8))


def test_a_student_learns_the_same(called):
    torch.manual_seed(0)
    network = build_student("resnet18", 3).network.double()
    images = torch.randn(4, 3, 64, 64, dtype=torch.float64)

    def gradients():
        network.zero_grad()
        F.cross_entropy(network(images), torch.tensor([0, 1, 2, 0])).backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    reference = gradients()
    with small_maps_as_products(network):
        ours = gradients()
    assert {shape[1] for shape in called} == {128, 256, 512}
    for got, expected in zip(ours, reference, strict=True):
        torch.testing.assert_close(got, expected)


def test_other_convolutions_stay_and_all_are_given_back():
    plain = nn.Conv2d(8, 8, 3, padding=1)
    others = [
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, 3, dilation=2),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(8, 8, 3),
    ]
    network = nn.Sequential(plain, *others)
    kinds = [type(module) for module in network]
    with small_maps_as_products(network):
        assert [type(module) for module in network] == [SmallMapConv2d, *kinds[1:]]
    assert [type(module) for module in network] == kinds
