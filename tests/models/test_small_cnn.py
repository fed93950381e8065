import pytest
import torch

from defectdistill.models.students import build_student


@pytest.mark.parametrize(("arch", "millions"), [("small_cnn_69", 1.35), ("small_cnn_33", 0.306)])
def test_teacher_and_student_have_the_logs_numbers_of_parameters(arch, millions):
    student = build_student(arch, 10)
    assert sum(parameter.numel() for parameter in student.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)


def test_levels_are_tapped_at_strides_1_2_and_4():
    student = build_student("small_cnn_3", 4)
    assert {stride: tap.channels for stride, tap in student.taps().items()} == {1: 3, 2: 6, 4: 12}
    logits, features = student.forward_with_features(torch.randn(2, 3, 32, 32), student.taps())
    assert logits.shape == (2, 4)
    assert [tuple(level.shape) for level in features.values()] == [(2, 3, 32, 32), (2, 6, 16, 16), (2, 12, 8, 8)]


@pytest.mark.parametrize("size", [4, 5, 33])
def test_gradients_reach_every_parameter(size):
    student = build_student("small_cnn_4", 3)
    student(torch.randn(2, 3, size, size)).square().sum().backward()
    assert not [name for name, parameter in student.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("arch", ["small_cnn_", "small_cnn_0", "small_cnn_999", "small_cnn_9999", "small_cnn_3.5"])
def test_a_width_that_is_none_is_refused(arch):
    with pytest.raises(ValueError, match=r"expected one of .*small_cnn_WIDTH"):
        build_student(arch, 3)
