"""Class maps, soft targets, masks and their sum: against NumPy, and as methods."""

import numpy as np
import pytest
import torch

from defectdistill.distillation import (
    channelwise,
    class_map,
    combined,
    hint,
    masks,
    relational,
    soft_targets,
)
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.class_map import class_map_loss
from defectdistill.distillation.pair import Pair
from defectdistill.distillation.soft_targets import soft_target_loss
from defectdistill.models.taps import Tap

CLASSES = 3
TAPS = {8: Tap("layer2", 6, 8), 16: Tap("layer3", 10, 16)}
PAIR = Pair(TAPS, {8: Tap("blocks.3", 4, 8), 16: Tap("blocks.4", 5, 16)}, CLASSES, CLASSES)
SETTINGS = {
    "weights": {"feature_fusion": 0.5, "class_map": 2.0, "soft_targets": 0.0},
    "temperature": 3.0,
    "beta": 0.5,
    "gamma": 0.1,
    "distance": 25.0,
    "angle": 50.0,
    "terms": {"mse": True, "cosine": True, "ssim": False},
    "align": True,
}
METHODS = {
    "class_map": class_map,
    "soft_targets": soft_targets,
    "masks": masks,
    "combined": combined,
    "hint": hint,
    "channelwise": channelwise,
    "relational": relational,
}


def answers(batch=4):
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return torch.randn(batch, *shape, generator=generator)

    student = Answer({8: noise(6, 8, 8), 16: noise(10, 4, 4)}, scores=noise(CLASSES))
    for part in (*student.features.values(), student.scores):
        part.requires_grad_()
    maps = {8: noise(CLASSES + 1, 8, 8).softmax(1).half(), 16: noise(CLASSES + 1, 4, 4).softmax(1).half()}
    return student, Answer({8: noise(4, 8, 8).half(), 16: noise(5, 4, 4).half()}, maps, noise(CLASSES).half())


def log_softmax(x):
    return x - np.log(np.exp(x).sum(1, keepdims=True))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_soft_targets_by_hand(temperature):
    """Hinton et al. 2015: KL(teacher ‖ student) of softened answers, batch mean, times τ²."""
    student, teacher = np.random.default_rng(0).normal(0, 4, (2, 5, CLASSES))
    of_teacher, of_student = log_softmax(teacher / temperature), log_softmax(student / temperature)
    expected = (np.exp(of_teacher) * (of_teacher - of_student)).sum(1).mean() * temperature**2
    given = (torch.from_numpy(student), torch.from_numpy(teacher))
    assert soft_target_loss(*given, temperature).item() == pytest.approx(expected, rel=1e-6)
    assert soft_target_loss(given[0], given[0], temperature).item() == pytest.approx(0, abs=1e-6)


def test_soft_targets_stay_finite_where_the_teacher_is_certain():
    loss = soft_target_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[3e4, -3e4]]), 1.0)
    assert loss.item() == pytest.approx(np.log(2), rel=1e-6)


def test_class_maps_by_hand():
    generator = np.random.default_rng(0)
    logits, target = (
        generator.normal(size=(2, 4, 3, 3)),
        generator.dirichlet(np.ones(4), (2, 3, 3)).transpose(0, 3, 1, 2),
    )
    expected = (target * (np.log(target) - log_softmax(logits))).sum(1).mean()
    assert class_map_loss(torch.from_numpy(logits), torch.from_numpy(target)).item() == pytest.approx(
        expected, rel=1e-6
    )


def test_images_of_which_nothing_is_known_are_not_counted():
    logits, target = torch.randn(3, 4, 2, 2, requires_grad=True), torch.randn(3, 4, 2, 2).softmax(1)
    target[1] = 0
    loss = class_map_loss(logits, target)
    torch.testing.assert_close(loss, class_map_loss(logits[[0, 2]], target[[0, 2]]))
    loss.backward()
    assert logits.grad[1].abs().sum() == 0
    assert class_map_loss(logits, torch.zeros_like(target)).item() == 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("batch", [1, 4])
def test_gradients_reach_all_that_a_method_learns_and_the_student(name, batch):
    method = METHODS[name].build(PAIR, SETTINGS)
    student, teacher = answers(batch)
    before = [part.clone() for part in teacher.arrays().values()]
    terms = method(student, teacher)
    terms["total"].backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in method.parameters())
    read = [student.scores] if name == "soft_targets" else list(student.features.values())
    if name == "relational":  # the deepest level alone; one image has no relation
        read = [student.features[16]] * (batch > 1)
    assert all(part.grad.abs().sum() > 0 for part in read)
    assert all(torch.equal(*pair) for pair in zip(before, teacher.arrays().values(), strict=True))
    assert all(value.ndim == 0 and value.isfinite() for value in terms.values())


def test_a_sum_weighs_its_parts_and_leaves_out_what_is_off():
    torch.manual_seed(0)
    method = combined.build(PAIR, SETTINGS)
    assert list(method.parts) == ["feature_fusion", "class_map"]
    assert method.needs == {"features", "maps"}
    student, teacher = answers()
    terms = method(student, teacher)
    assert set(terms) == {"mse", "cosine", "class_map", "total"}
    expected = 0.5 * (terms["mse"] + 0.5 * terms["cosine"]) + 2.0 * terms["class_map"]
    torch.testing.assert_close(terms["total"], expected)


def test_a_binary_teacher_has_no_answer_for_an_image():
    with pytest.raises(ValueError, match=r"1 channel\(s\) for 3 classes.*teacher.target: classes"):
        soft_targets.build(Pair(TAPS, TAPS, 1, CLASSES), SETTINGS)
    assert class_map.build(Pair(TAPS, TAPS, 1, CLASSES), SETTINGS).heads["8"].out_channels == 2
    assert masks.build(Pair(TAPS, TAPS, 1, CLASSES), SETTINGS).heads["8"].out_channels == CLASSES + 1


def test_an_answer_is_the_same_after_it_was_stored():
    _, teacher = answers()
    again = Answer.of(teacher.arrays())
    for before, after in zip(teacher.arrays().items(), again.arrays().items(), strict=True):
        assert before[0] == after[0]
        assert torch.equal(before[1], after[1])
