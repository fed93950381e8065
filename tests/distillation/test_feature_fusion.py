import numpy as np
import pytest
import torch

from defectdistill.distillation.answer import Answer
from defectdistill.distillation.feature_fusion import FeatureFusion, fusion_loss
from defectdistill.models.taps import Tap


def features(shape, seed, scale=1.0):
    return np.random.default_rng(seed).normal(size=shape) * scale


def numpy_ssim_loss(student, teacher, window):
    """1 − SSIM from its definition (Wang et al. 2004), fp64, valid positions only, one window at a time."""
    low = teacher.min(axis=(1, 2, 3), keepdims=True)
    span = teacher.max(axis=(1, 2, 3), keepdims=True) - low
    x, y = (student - low) / span, (teacher - low) / span
    line = np.exp(-((np.arange(window) - window // 2) ** 2) / (2 * 1.5**2))
    kernel = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for top in range(x.shape[2] - window + 1):
        for left in range(x.shape[3] - window + 1):
            a, b = (m[:, :, top : top + window, left : left + window] for m in (x, y))
            mean_a, mean_b = (a * kernel).sum((2, 3)), (b * kernel).sum((2, 3))
            var_a = (a * a * kernel).sum((2, 3)) - mean_a**2
            var_b = (b * b * kernel).sum((2, 3)) - mean_b**2
            both = (a * b * kernel).sum((2, 3)) - mean_a * mean_b
            luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
            values.append(luminance * (2 * both + c2) / (var_a + var_b + c2))
    return 1 - np.mean(values)


@pytest.mark.parametrize(("side", "window"), [(14, 11), (7, 7), (4, 3), (3, 3), (12, 11)])
def test_terms_agree_with_numpy(side, window):
    student, teacher = features((2, 5, side, side), 0), features((2, 5, side, side), 1, 2.0)
    norm = np.linalg.norm(student, axis=1) * np.linalg.norm(teacher, axis=1)
    expected = {
        "mse": np.mean((student - teacher) ** 2),
        "cosine": 1 - np.mean((student * teacher).sum(1) / norm),
        "ssim": numpy_ssim_loss(student, teacher, window),
    }
    expected["total"] = expected["mse"] + 0.5 * expected["cosine"] + 0.1 * expected["ssim"]
    losses = fusion_loss(torch.from_numpy(student), torch.from_numpy(teacher), beta=0.5, gamma=0.1)
    assert set(losses) == set(expected)
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, abs=1e-6), name


def test_a_perfect_student_has_no_loss():
    teacher = torch.from_numpy(features((2, 4, 8, 8), 2))
    for value in fusion_loss(teacher.clone(), teacher, 0.5, 0.1).values():
        assert value.item() == pytest.approx(0.0, abs=1e-6)


def test_an_inverted_student_does_not_look_similar():
    teacher = torch.from_numpy(features((1, 4, 14, 14), 3))
    assert fusion_loss(-teacher, teacher, 0.5, 0.1)["ssim"] > 1.0  # unscaled signed maps would give 0.1


def test_half_precision_is_computed_in_fp32():
    teacher = torch.from_numpy(features((2, 4, 8, 8), 4, 50.0)).half()
    losses = fusion_loss((teacher + 1).bfloat16(), teacher, 0.5, 0.1)
    assert all(value.dtype == torch.float32 and value.isfinite() for value in losses.values())


def test_switched_off_terms_are_neither_computed_nor_counted():
    student, teacher = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)  # too small for SSIM: it must not be asked
    losses = fusion_loss(student, teacher, 0.5, 0.1, terms=("cosine",))
    assert set(losses) == {"cosine", "total"}
    assert losses["total"] == pytest.approx(0.5 * losses["cosine"].item())


def test_constant_teacher_map_gives_finite_losses_and_gradients():
    student = torch.randn(1, 3, 6, 6, requires_grad=True)
    loss = fusion_loss(student, torch.zeros(1, 3, 6, 6), 0.5, 0.1)["total"]
    loss.backward()
    assert loss.isfinite()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize(
    ("student", "teacher", "terms", "message"),
    [
        ((1, 2, 4, 4), (1, 3, 4, 4), ("mse",), "align"),
        ((1, 2, 4, 4), (1, 2, 4, 4), (), "expected one or more of"),
        ((1, 2, 4, 4), (1, 2, 4, 4), ("mae",), "expected one or more of"),
        ((1, 2, 2, 2), (1, 2, 2, 2), ("ssim",), "distill.terms.ssim"),
    ],
)
def test_what_cannot_be_compared_is_refused(student, teacher, terms, message):
    with pytest.raises(ValueError, match=message):
        fusion_loss(torch.randn(student), torch.randn(teacher), 0.5, 0.1, terms)


ALL_TERMS = {"mse": True, "cosine": True, "ssim": True}


def method(align=True, terms=ALL_TERMS):
    student = {8: Tap("layer2", 6, 8), 16: Tap("layer3", 8, 16)}
    teacher = {8: Tap("stride8", 5, 8), 16: Tap("stride16", 12, 16)}
    return FeatureFusion(student, teacher, 0.5, 0.1, terms, align)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("batch", [1, 3])
def test_levels_are_averaged_and_gradients_reach_the_student_and_the_alignment(align, batch):
    fusion = method(align)
    student = {8: torch.randn(batch, 6, 9, 9, requires_grad=True), 16: torch.randn(batch, 8, 5, 5, requires_grad=True)}
    teacher = {8: torch.randn(batch, 5, 8, 8).half(), 16: torch.randn(batch, 12, 4, 4).half()}  # other sizes: resampled
    losses = fusion(Answer(student), Answer(teacher))
    assert set(losses) == {"mse", "cosine", "ssim", "total"}
    singles = [
        FeatureFusion({s: fusion_tap(student, s)}, {s: fusion_tap(teacher, s)}, 0.5, 0.1, ALL_TERMS, align)
        for s in (8, 16)
    ]
    if align:
        for single, stride in zip(singles, ("8", "16"), strict=True):
            single.alignments[stride].load_state_dict(fusion.alignments[stride].state_dict())
    expected = np.mean([single(Answer(student), Answer(teacher))["mse"].item() for single in singles])
    assert losses["mse"].item() == pytest.approx(expected, rel=1e-4)
    losses["total"].backward()
    assert all(x.grad.abs().sum() > 0 for x in student.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


def fusion_tap(maps, stride):
    return Tap("", maps[stride].shape[1], stride)


@pytest.mark.parametrize("owner", ["student", "teacher"])
def test_a_level_without_a_tensor_is_named(owner):
    maps = {"student": {8: torch.randn(2, 6, 8, 8), 16: torch.randn(2, 8, 4, 4)}}
    maps["teacher"] = {8: torch.randn(2, 5, 8, 8), 16: torch.randn(2, 12, 4, 4)}
    del maps[owner][16]
    with pytest.raises(ValueError, match=f"stride 16, but the {owner} gave no features"):
        method()(Answer(maps["student"]), Answer(maps["teacher"]))
