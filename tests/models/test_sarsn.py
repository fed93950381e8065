import numpy as np
import pytest
import torch

from defectdistill.models.sarsn import Shrinkage, ShrinkageBlock, sarsn, soft_threshold
from defectdistill.models.students import build_student


def test_soft_thresholding_by_hand():
    x = np.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    expected = np.sign(x) * np.maximum(np.abs(x) - 1, 0)
    np.testing.assert_array_equal(soft_threshold(torch.from_numpy(x), torch.tensor(1.0)).numpy(), expected)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e4])
def test_thresholds_are_never_negative_and_never_all_of_a_channel(scale):
    torch.manual_seed(0)
    shrink = Shrinkage(6)
    for parameter in shrink.parameters():
        parameter.data.normal_(0, 30)  # whatever was learned
    x = scale * torch.randn(4, 6, 5, 5)
    thresholds, means = shrink.thresholds(x), x.abs().mean(dim=(2, 3))
    assert (thresholds >= 0).all()
    assert (thresholds <= means).all()
    assert (shrink(x).abs() <= x.abs()).all()


def test_a_block_shrinks_before_the_shortcut_is_added():
    torch.manual_seed(0)
    block, x = ShrinkageBlock(4, 4).eval(), torch.randn(2, 4, 6, 6)
    inner = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))
    tau = block.shrink.thresholds(inner)[:, :, None, None]
    torch.testing.assert_close(block(x), torch.relu(torch.sign(inner) * torch.relu(inner.abs() - tau) + x))


def test_gradients_reach_every_parameter():
    network = sarsn(18, 3)
    network(torch.randn(4, 3, 64, 64)).square().sum().backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]


def test_it_is_a_student_like_any_other():
    student = build_student("sarsn_18", 3)
    assert list(student.taps()) == [2, 4, 8, 16, 32]
    with pytest.raises(ValueError, match=r"student.weights = 'imagenet': there are none of 'sarsn_18'"):
        build_student("sarsn_18", 3, "imagenet")
    with pytest.raises(ValueError, match=r"student.arch = 'sarsn_19': expected one of .*sarsn_18"):
        build_student("sarsn_19", 3)
