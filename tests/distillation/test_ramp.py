import pytest

from defectdistill.distillation.ramp import quadratic_ramp


@pytest.mark.parametrize(("epoch", "weight"), [(0, 0.1), (25, 0.125), (50, 0.2), (75, 0.325), (100, 0.5)])
def test_equation_4_at_hand_computed_epochs(epoch, weight):
    assert quadratic_ramp(epoch / 100, 0.1, 0.5) == pytest.approx(weight, abs=1e-12)


def test_equal_ends_are_a_fixed_weight():
    assert {quadratic_ramp(t / 10, 0.3, 0.3) for t in range(11)} == {0.3}


@pytest.mark.parametrize("progress", [-0.01, 1.01])
def test_progress_outside_the_training_is_refused(progress):
    with pytest.raises(ValueError, match="from 0 to 1"):
        quadratic_ramp(progress, 0.1, 0.5)
