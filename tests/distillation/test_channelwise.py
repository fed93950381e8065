import numpy as np
import pytest
import torch
from torch import nn

from defectdistill.distillation.answer import Answer
from defectdistill.distillation.channelwise import Channelwise, channelwise_loss


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 1, 1, 7)])
def test_it_is_equation_4_of_the_paper(shape, temperature):
    """Shu et al. 2021: τ²/C · Σ_c Σ_i φ(y^T) · log(φ(y^T) / φ(y^S)), the mean over the images."""
    student, teacher = np.random.default_rng(0).normal(0, 3, (2, *shape))
    own, wanted = (softmax(x.reshape(*shape[:2], -1) / temperature) for x in (student, teacher))
    expected = (wanted * np.log(wanted / own)).sum() * temperature**2 / (shape[0] * shape[1])
    found = channelwise_loss(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_shift_of_a_channel_changes_nothing():
    """Where a channel looks does not depend on its level."""
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    shift = torch.tensor([1e3, -1e6, 5.0], dtype=torch.float64)[:, None, None]
    assert channelwise_loss(maps + shift, maps, 1.0).item() == pytest.approx(0, abs=1e-6)


def test_peaked_maps_in_half_precision_stay_finite():
    student = torch.full((1, 1, 8, 8), -3e4, dtype=torch.float16)
    teacher = student.clone()
    student[..., 0, 0], teacher[..., 7, 7] = 3e4, 3e4
    student.requires_grad_()
    loss = channelwise_loss(student, teacher, 1.0)
    assert (loss.dtype, loss.item()) == (torch.float32, pytest.approx(6e4, rel=1e-3))
    loss.backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("level", [-4.0, -12.0, -20.0])
def test_a_student_that_says_what_the_teacher_says_has_no_loss(level):
    """Also of classes that are nowhere, whose probabilities a store in half precision rounds to zero."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 8, 8, generator=generator)
    logits[:, 2:] = level + 4 * torch.randn(2, 2, 8, 8, generator=generator)
    maps = logits.softmax(dim=1)
    method = Channelwise(nn.ModuleDict({"4": nn.Identity()}), 1.0)
    loss = method(Answer(maps={4: maps}), Answer(maps={4: maps.half()}))["total"]
    assert loss.item() == pytest.approx(0, abs=1e-3)
    other = method(Answer(maps={4: maps.flip(3)}), Answer(maps={4: maps.half()}))["total"]
    assert other > 0.1


def test_unequal_maps_are_refused():
    with pytest.raises(ValueError, match=r"student maps are \(1, 2, 4, 4\), the teacher's \(1, 3, 4, 4\): align"):
        channelwise_loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 3, 4, 4), 1.0)
