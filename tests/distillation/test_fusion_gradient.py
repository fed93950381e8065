import pytest
import torch

from defectdistill.distillation import fusion_gradient
from defectdistill.distillation.feature_fusion import fusion_loss
from defectdistill.distillation.fusion_gradient import BlockwiseFusion

ALL = ("mse", "cosine", "ssim")


@pytest.mark.parametrize("terms", [("mse",), ("cosine",), ("ssim",), ("mse", "ssim"), ALL])
@pytest.mark.parametrize("offset", [0.0, -3.0])
@pytest.mark.parametrize("images_a_block", [1, 2, 5])
def test_values_and_gradient_are_those_of_the_loss(monkeypatch, terms, offset, images_a_block):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(5, 6, 14, 13, generator=generator, dtype=torch.float64) + offset for _ in range(2))
    student.requires_grad_()
    monkeypatch.setattr(fusion_gradient, "BLOCK_BYTES", images_a_block * 4 * student[0].numel())
    expected = fusion_loss(student, teacher, 0.5, 0.1, terms)
    total, raw = BlockwiseFusion.apply(student, teacher, 0.5, 0.1, terms)
    torch.testing.assert_close(total, expected["total"])
    torch.testing.assert_close(raw, torch.stack([expected[term] for term in terms]))
    ours, reference = (torch.autograd.grad(3 * loss, student)[0] for loss in (total, expected["total"]))
    torch.testing.assert_close(ours, reference)


def test_equal_and_empty_channel_vectors_have_a_finite_gradient():
    student = torch.zeros(2, 4, 12, 12, requires_grad=True)
    total, _ = BlockwiseFusion.apply(student, torch.zeros(2, 4, 12, 12), 0.5, 0.1, ALL)
    (gradient,) = torch.autograd.grad(total, student)
    assert total.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("beyond", [1e2, 1e4, 1e6])
def test_a_student_far_outside_of_the_teachers_range_keeps_ssim_in_its_own(beyond):
    """Rounding takes all digits from the variances there: they came out negative, and SSIM at hundreds."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 8, 14, 14, generator=generator) for _ in range(2))
    student = (beyond * (1 + 1e-3 * student)).requires_grad_()
    total, raw = BlockwiseFusion.apply(student, teacher, 0.5, 0.1, ("ssim",))
    assert 0 <= raw[0] <= 2
    assert 0 <= fusion_loss(student, teacher, 0.5, 0.1, ("ssim",))["ssim"] <= 2
    (gradient,) = torch.autograd.grad(total, student)
    assert gradient.isfinite().all()


def test_half_precision_is_compared_in_fp32():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 8, 12, 12, generator=generator) for _ in range(2))
    student = student.bfloat16().to(memory_format=torch.channels_last).requires_grad_()
    total, _ = BlockwiseFusion.apply(student, teacher.half(), 0.5, 0.1, ALL)
    expected = fusion_loss(student.float(), teacher.half().float(), 0.5, 0.1)["total"]
    torch.testing.assert_close(total, expected)
    (gradient,) = torch.autograd.grad(total, student)
    assert gradient.dtype == torch.bfloat16
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def gradients(student, teacher, autocast=False):
    """Of both forms: total and gradient, block by block and plain (that one in float64)."""
    own = student.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        total, _ = BlockwiseFusion.apply(own, teacher, 0.5, 0.1, ALL)
    exact = student.double().requires_grad_()
    reference = fusion_loss(exact, teacher.double(), 0.5, 0.1)["total"]
    (ours,), (wanted,) = torch.autograd.grad(total, own), torch.autograd.grad(reference, exact)
    return total, ours, reference.float(), wanted.float()


def test_autocast_takes_nothing_to_half_precision():
    """A signed teacher whose channels lie on levels of their own: variances are small differences of large numbers."""
    generator = torch.Generator().manual_seed(0)
    levels = 3 * torch.randn(1, 8, 1, 1, generator=generator)
    teacher = levels + torch.randn(2, 8, 14, 14, generator=generator)
    student = teacher + 0.1 * torch.randn(2, 8, 14, 14, generator=generator)
    total, ours, expected, wanted = gradients(student, teacher, autocast=True)
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours, wanted, rtol=1e-2, atol=1e-3 * wanted.abs().max().item())


@pytest.mark.parametrize("outlier", [-100.0, -3000.0])
def test_one_value_far_below_the_others_leaves_the_gradient(outlier):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 64, 14, 14, generator=generator) for _ in range(2))
    teacher[0, 3, 5, 5] = outlier
    total, ours, expected, wanted = gradients(student, teacher)
    torch.testing.assert_close(total, expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(ours.norm(), wanted.norm(), rtol=1e-2, atol=0)
    torch.testing.assert_close(ours[1], wanted[1], rtol=1e-2, atol=1e-3 * wanted[1].abs().max().item())


def test_maps_of_unequal_shape_are_refused():
    with pytest.raises(ValueError, match="align them"):
        BlockwiseFusion.apply(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4), 0.5, 0.1, ALL)
