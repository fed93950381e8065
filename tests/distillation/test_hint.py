import numpy as np
import pytest
import torch

from defectdistill.distillation.hint import Hint, hint_loss


def test_it_is_the_mean_squared_error():
    student, teacher = np.random.default_rng(0).normal(size=(2, 3, 4, 5, 5))
    expected = ((student - teacher) ** 2).mean()
    assert hint_loss(torch.from_numpy(student), torch.from_numpy(teacher)).item() == pytest.approx(expected, rel=1e-12)


def test_half_precision_is_compared_in_fp32():
    value = hint_loss(torch.full((2, 2), 300.0).half(), torch.full((2, 2), -300.0).half())
    assert (value.dtype, value.item()) == (torch.float32, 360_000.0)


def test_unequal_features_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\), the teacher's \(1, 3\): align"):
        hint_loss(torch.zeros(1, 2), torch.zeros(1, 3))


def test_without_alignment_nothing_is_learned_beside_the_student():
    method = Hint({8: (6, 4)}, align=False)
    assert not list(method.parameters())
    x = torch.randn(2, 6, 3, 3)
    assert method.regressors["8"](x).shape == (2, 4, 3, 3)


def test_the_regressor_goes_from_the_students_channels_to_the_teachers():
    (regressor,) = Hint({8: (6, 4)}).regressors.values()
    assert (regressor.in_channels, regressor.out_channels, regressor.kernel_size) == (6, 4, (3, 3))
