"""Feature distillation by three fused terms, MSE + β·(1 − cosine) + γ·(1 − SSIM) (cable paper, equation 6)."""

import torch
import torch.nn.functional as F
from torch import nn

from defectdistill.distillation.alignment import Alignment, ChannelAverage, match_size
from defectdistill.distillation.answer import Answer
from defectdistill.distillation.fusion_gradient import SHORTEST, BlockwiseFusion
from defectdistill.distillation.pair import Pair
from defectdistill.distillation.structural_similarity import structural_similarity
from defectdistill.models.taps import Tap

TERMS = ("mse", "cosine", "ssim")


def fusion_loss(
    student: torch.Tensor, teacher: torch.Tensor, beta: float, gamma: float, terms: tuple[str, ...] = TERMS
) -> dict[str, torch.Tensor]:
    """Compare two feature maps (N, C, H, W); returns the chosen raw terms and their weighted sum as `total`.

    mse: mean squared error over all values. cosine: 1 − cosine similarity along the channels, mean over positions,
    in [0, 2]. ssim: 1 − SSIM, see `structure_loss`. total = mse + β·cosine + γ·ssim, in fp32 at least.
    Raises ValueError for unequal shapes and unknown or no terms.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student features are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}: align")
    if not terms or not set(terms) <= set(TERMS):
        raise ValueError(f"terms = {terms}: expected one or more of {', '.join(TERMS)}")
    student, teacher = at_least_fp32(student), at_least_fp32(teacher)
    compute = {"mse": F.mse_loss, "cosine": cosine_loss, "ssim": structure_loss}
    weights = {"mse": 1.0, "cosine": beta, "ssim": gamma}
    with torch.autocast(student.device.type, enabled=False):  # it would take SSIM's products to bf16
        losses = {term: compute[term](student, teacher) for term in TERMS if term in terms}
    losses["total"] = sum(weights[term] * value for term, value in losses.items())
    return losses


def at_least_fp32(x: torch.Tensor) -> torch.Tensor:
    """Return x in fp32 if it is in half precision, which these losses lose too much in, else as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def cosine_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 − cosine similarity of the channel vectors of (N, C, H, W), mean over images and positions, in [0, 2]."""
    lengths = [features.square().sum(dim=1).clamp_min(SHORTEST**2).sqrt() for features in (student, teacher)]
    return 1.0 - ((student * teacher).sum(dim=1) / (lengths[0] * lengths[1])).mean()


def structure_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 − SSIM of two feature maps (N, C, H, W), mean over images, channels and positions.

    [choice] Both maps go to [0, 1] by the *teacher's* minimum and maximum of each image: SSIM is made for images of
    a known range, and on signed maps SSIM(x, −x) can be +0.9.
    """
    low = teacher.amin(dim=(1, 2, 3), keepdim=True)
    span = (teacher.amax(dim=(1, 2, 3), keepdim=True) - low).clamp_min(1e-6)
    return 1.0 - structural_similarity(student - low, teacher - low, span)


class FeatureFusion(nn.Module):
    """The method `feature_fusion`: one alignment a level, the fused loss of each, averaged over the levels [choice].

    `student` and `teacher` map each stride to its tap; `terms` switches the terms (at least one on); `align: False`
    replaces the learned alignment by `ChannelAverage`.
    """

    needs = frozenset({"features"})

    def __init__(
        self,
        student: dict[int, Tap],
        teacher: dict[int, Tap],
        beta: float,
        gamma: float,
        terms: dict[str, bool],
        align: bool,
    ):
        super().__init__()
        self.beta, self.gamma = beta, gamma
        self.terms = tuple(term for term, on in terms.items() if on)
        self.strides = list(teacher)
        self.alignments = nn.ModuleDict(
            {
                str(stride): Alignment(student[stride].channels, tap.channels)
                if align
                else ChannelAverage(tap.channels)
                for stride, tap in teacher.items()
            }
        )

    def forward(self, student: Answer, teacher: Answer) -> dict[str, torch.Tensor]:
        """The features of both → the raw terms and `total`, scalars.

        Raises ValueError naming a configured level for which either side has no tensor.
        """
        levels = []
        for stride in self.strides:
            for owner, features in (("student", student.features), ("teacher", teacher.features)):
                if stride not in features:
                    raise ValueError(f"distill.levels names stride {stride}, but the {owner} gave no features for it")
            wanted = teacher.features[stride]
            aligned = match_size(self.alignments[str(stride)](student.features[stride]), wanted)
            total, raw = BlockwiseFusion.apply(aligned, wanted, self.beta, self.gamma, self.terms)
            levels.append(dict(zip(self.terms, raw, strict=True)) | {"total": total})
        return {name: torch.stack([level[name] for level in levels]).mean() for name in levels[0]}


def build(pair: Pair, settings: dict) -> FeatureFusion:
    """Return the method for a student and a teacher, and the section `distill` of params.yaml."""
    return FeatureFusion(
        pair.student, pair.teacher, settings["beta"], settings["gamma"], settings["terms"], settings["align"]
    )
