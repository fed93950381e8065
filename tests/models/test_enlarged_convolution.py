import pytest
import torch
import torch.nn.functional as F

from defectdistill.models.enlarged_convolution import convolve_enlarged, convolve_to_few, enlargement_taps


def plain(x, weight, bias, size):
    return F.conv2d(F.interpolate(x, size=size, mode="bilinear"), weight, bias, padding=1)


@pytest.mark.parametrize(
    ("small", "large"),
    [((4, 4), (8, 8)), ((3, 5), (24, 40)), ((1, 1), (16, 16)), ((7, 4), (13, 7)), ((2, 9), (2, 18)), ((5, 5), (5, 5))],
)
@pytest.mark.parametrize("has_bias", [True, False])
def test_it_is_the_convolution_of_the_enlarged_map(small, large, has_bias):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, *small, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(4, 6, 3, 3, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(4, generator=generator, dtype=torch.float64).requires_grad_() if has_bias else None
    leaves = [leaf for leaf in (x, weight, bias) if leaf is not None]
    ours, reference = convolve_enlarged(x, weight, bias, large), plain(x, weight, bias, large)
    torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-6)
    probe = torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    for got, expected in zip(
        torch.autograd.grad((ours * probe).sum(), leaves), torch.autograd.grad((reference * probe).sum(), leaves),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_few_channels_are_the_same_convolution(channels):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 5, 7, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(channels, 6, 3, 3, generator=generator, dtype=torch.float64).requires_grad_()
    bias = torch.randn(channels, generator=generator, dtype=torch.float64).requires_grad_()
    ours, reference = convolve_to_few(x, weight, bias), F.conv2d(x, weight, bias, padding=1)
    torch.testing.assert_close(ours, reference)
    probe = torch.randn(reference.shape, generator=generator, dtype=torch.float64)
    for got, expected in zip(
        torch.autograd.grad((ours * probe).sum(), (x, weight, bias)),
        torch.autograd.grad((reference * probe).sum(), (x, weight, bias)), strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(got, expected)


def test_taps_by_hand():
    """Twice as long, positions at quarters: 1, ¾ and ¼, ¼ and ¾, 1; shifted by one, zeros outside."""
    before, same, after = enlargement_taps(2, 4, torch.zeros(1))
    assert same.tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    assert before.tolist() == [[0, 0], *same[:3].tolist()]
    assert after.tolist() == [*same[1:].tolist(), [0, 0]]


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32, 64])
def test_taps_are_exact_in_bfloat16(factor):
    exact = enlargement_taps(6, 6 * factor, torch.zeros(1))
    assert torch.equal(enlargement_taps(6, 6 * factor, torch.zeros(1, dtype=torch.bfloat16)).float(), exact)


def test_it_stays_in_channels_last():
    x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    result = convolve_enlarged(x, torch.randn(4, 8, 3, 3), None, (8, 8))
    assert result.is_contiguous(memory_format=torch.channels_last)
