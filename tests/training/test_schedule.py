import pytest

from defectdistill.training.schedule import warmup_cosine


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 0.0),
        (5, 5e-5),
        (9.5, 9.5e-5),
        (10, 1e-4),
        (32.5, 8.535533905932737e-05),  # a quarter of the way: ½(1 + cos 45°)
        (55, 5e-5),
        (77.5, 1.4644660940672624e-05),
        (100, 0.0),
        (120, 0.0),
    ],
)
def test_equations_9_and_10_at_hand_computed_epochs(epoch, rate):
    assert warmup_cosine(epoch, 10, 100, 1e-4, 0.0) == pytest.approx(rate, abs=1e-12)


def test_the_rate_ends_at_its_minimum():
    assert warmup_cosine(30, 3, 30, 1e-3, 1e-5) == pytest.approx(1e-5)


def test_no_warm_up_starts_at_the_full_rate():
    assert warmup_cosine(0, 0, 30, 1e-3, 0.0) == 1e-3


@pytest.mark.parametrize("warmup", [-1, 30, 31])
def test_a_warm_up_outside_the_training_is_refused(warmup):
    with pytest.raises(ValueError, match="warmup"):
        warmup_cosine(0, warmup, 30, 1e-3, 0.0)
