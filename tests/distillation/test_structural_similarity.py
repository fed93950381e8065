import pytest
import torch
from pytorch_msssim import ssim

from defectdistill.distillation.structural_similarity import structural_similarity, window_matrix


@pytest.mark.parametrize("shape", [(2, 3, 28, 28), (1, 5, 14, 11), (3, 2, 20, 33)])
def test_it_agrees_with_pytorch_msssim(shape):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(shape, generator=generator) for _ in range(2))
    assert structural_similarity(x, y).item() == pytest.approx(ssim(x, y, data_range=1.0).item(), abs=1e-5)


def test_gradients_agree_with_pytorch_msssim():
    x, y = torch.rand(1, 2, 16, 16, requires_grad=True), torch.rand(1, 2, 16, 16)
    (ours,) = torch.autograd.grad(structural_similarity(x, y), x)
    (theirs,) = torch.autograd.grad(ssim(x, y, data_range=1.0), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)


def test_equal_maps_are_wholly_similar():
    x = torch.rand(2, 3, 5, 9, dtype=torch.float64)
    assert structural_similarity(x, x).item() == pytest.approx(1.0)


def test_every_row_of_the_window_matrix_averages():
    matrix = torch.from_numpy(window_matrix(7, 3))
    assert matrix.shape == (5, 7)
    assert matrix.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert (matrix[2] > 0).nonzero().flatten().tolist() == [2, 3, 4]


def test_maps_without_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"2 × 9: expected at least 3 × 3"):
        structural_similarity(torch.rand(1, 1, 2, 9), torch.rand(1, 1, 2, 9))
