"""What of the benchmarks nothing else runs, in small: they call the package as it is, not as it was."""

import scaling
from measure import in_turn, ratio

from defectdistill.training.compute import set_up


def test_a_size_of_the_scaling_curve_is_measured_to_its_end():
    found = scaling.measure(32, set_up(1, "cpu", "fp32"))
    assert found["photographs"] == 32
    assert min(found[f"{stage}_s"] for stage in ("augment", "freeze", "distill_epoch")) > 0
    assert 1.0 < found["augmented_mb"] < 1.1  # 64 images of 64 x 64 pixels, 4 bytes each
    assert found["features_mb"] > 1


def test_every_second_round_goes_backwards():
    called = []
    sides = {name: lambda name=name: called.append(name) or float(len(called)) for name in ("a", "b", "c")}
    assert in_turn(sides, 3) == {"a": [1.0, 6.0, 7.0], "b": [2.0, 5.0, 8.0], "c": [3.0, 4.0, 9.0]}
    assert called == list("abccbaabc")


def test_sides_are_compared_round_by_round_not_by_their_medians():
    """While the machine slows to a third between rounds, and once for a single side."""
    measured = {"ours": [30.0, 10.0, 20.0], "other": [60.0, 20.0, 100.0]}
    assert ratio(measured, "ours", "other") == 0.5
