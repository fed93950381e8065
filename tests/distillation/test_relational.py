import itertools

import numpy as np
import pytest
import torch

from defectdistill.distillation.relational import angle_loss, distance_loss

LOSSES = {"distance": distance_loss, "angle": angle_loss}


def smooth_l1(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5).mean()


def distances(embeddings):
    """Park et al. 2019, equation 5: every distance, divided by the mean of those between two images."""
    count = len(embeddings)
    found = np.zeros((count, count))
    for i, j in itertools.product(range(count), repeat=2):
        found[i, j] = np.sqrt(((embeddings[i] - embeddings[j]) ** 2).sum())
    return found / found[found > 0].mean()


def angles(embeddings):
    """Equation 7: the cosine of the angle at j between i and k; 0 where a side has no length."""
    count = len(embeddings)
    found = np.zeros((count, count, count))
    for i, j, k in itertools.product(range(count), repeat=3):
        first, second = embeddings[i] - embeddings[j], embeddings[k] - embeddings[j]
        if i != j and k != j:
            found[j, i, k] = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    return found


def pair(batch=5):
    rng = np.random.default_rng(0)
    return rng.normal(0, 2, (batch, 3)), rng.normal(1, 4, (batch, 6))


@pytest.mark.parametrize("batch", [2, 5])
def test_they_are_the_papers(batch):
    student, teacher = pair(batch)
    given = torch.from_numpy(student), torch.from_numpy(teacher)
    assert distance_loss(*given).item() == pytest.approx(smooth_l1(distances(student) - distances(teacher)), rel=1e-9)
    assert angle_loss(*given).item() == pytest.approx(smooth_l1(angles(student) - angles(teacher)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_turning_moving_and_scaling_changes_nothing(loss):
    student, _ = pair()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    moved = 7.0 * student @ turn + 11.0
    assert loss(torch.from_numpy(student), torch.from_numpy(moved)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("batch", [1, 4])
def test_one_image_and_equal_images_have_no_relation_and_no_gradient(loss, batch):
    student = torch.ones(batch, 3, requires_grad=True)
    value = loss(student, torch.ones(batch, 6))
    value.backward()
    assert value.item() == 0
    assert (student.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_two_equal_images_among_others_have_a_finite_gradient(loss):
    student, teacher = (torch.from_numpy(side).float() for side in pair())
    student[1] = student[0]
    student.requires_grad_()
    loss(student, teacher).backward()
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_far_from_the_origin_the_relations_stay(loss):
    """Distances from products would lose a fifth here in single precision."""
    student, teacher = (torch.from_numpy(side) for side in pair())
    expected = loss(student, teacher).item()
    found = loss((student + 1000).float(), (teacher - 1000).float())
    assert found.item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_half_precision_is_computed_in_fp32(loss):
    student, teacher = (torch.from_numpy(side).half() for side in pair())
    value = loss(student * 1000, teacher * 1000)  # squares beyond the range of fp16
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(student.double(), teacher.double()).item(), rel=1e-2)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_embeddings_of_other_images_are_refused(loss):
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\): expected \(N, D\) and \(N, E\) of the same N images"):
        loss(torch.zeros(3, 2), torch.zeros(4, 2))
