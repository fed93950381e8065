"""Which photographs the leak check takes for learned from; what it finds is tested with the near copies."""

import pytest

from defectdistill.distill_sections import ASKED
from defectdistill.evaluation.leak_check import WITHOUT_TEACHER, taught_unlabelled
from defectdistill.training.distillation import METHODS


@pytest.mark.parametrize(
    ("method", "hint_epochs", "teaches"),
    [("combined", 0, True), ("hint", 0, True), ("none", 0, False), ("masks", 0, False), ("none", 2, True)],
)
def test_it_is_known_whether_photographs_without_a_label_were_learned_from(method, hint_epochs, teaches):
    settings = {"method": method, "hint_epochs": hint_epochs, "unlabelled": True}
    assert taught_unlabelled(settings) == teaches
    assert not taught_unlabelled(settings | {"unlabelled": False})


def test_it_knows_every_method_that_asks_no_teacher():
    assert {"combined", *ASKED} == METHODS.keys() - set(WITHOUT_TEACHER)
