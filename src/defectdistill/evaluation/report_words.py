"""How the report words what was measured: the verdict, and how numbers, differences and intervals are written."""

import math
from collections.abc import Mapping, Sequence

from defectdistill.evaluation.selective import images_to_show, least_share


def verdict(
    student: Mapping[str, float], baseline: Mapping[str, float], paired: Mapping[str, float], images: int
) -> str:
    """Return two sentences: who has the higher macro-F1 and by how much, and how little that many images can tell.

    `student` and `baseline` hold `macro_f1`, `paired` is from `paired_comparison`, `images` counts the test split.
    """
    first = compared("macro-F1", student["macro_f1"], baseline["macro_f1"], images)
    differing = paired["student_only"] + paired["baseline_only"]
    worth = f"One image is worth {100 / images:.1f} points of accuracy here, and"
    if not differing:
        return f"{first} {worth} both models are right on the very same images: these images tell no difference."
    split = f"{paired['student_only']} that only the student gets right, {paired['baseline_only']} only the baseline"
    p_value = f"= {paired['p_value']:.2f}" if paired["p_value"] >= 0.005 else "< 0.005"
    one_each = paired["groups_differing"] == differing
    test = f"exact {'McNemar' if one_each else 'sign-flip'} test{'' if one_each else ' by group'}, p {p_value}"
    if paired["p_value"] >= 0.05:
        judged = f"a difference of so few images is inside the noise ({test})."
    else:
        judged = f"chance alone seldom gives so uneven a split ({test}), though it is one split and one training run."
    noun = "image" if differing == 1 else "images"
    return f"{first} {worth} the models differ on {differing} {noun} ({split}): {judged}"


def compared(score: str, student: float, baseline: float, images: int) -> str:
    """Return a sentence: who has the higher score, called `score`, and by how much, on how many test images."""
    points = round(100 * (student - baseline), 1)
    words = f"{abs(points):.1f} points {'more' if points > 0 else 'less'}" if points else "no difference"
    return (
        f"The distilled student reaches a {score} of {number(student)} against {number(baseline)} for the baseline "
        f"without a teacher, {words}, on {images} test image{'s' if images != 1 else ''}."
    )


_FLATTERY = {
    "random": (
        "DIVIDED AT RANDOM",
        "Photographs of one object, and near copies, may lie in training and test alike (prepare.protocol: random).",
    ),
    "after_augmentation": (
        "DIVIDED AFTER AUGMENTATION",
        "Copies were made before the images were divided: nearly every test image has a twin that was learned from "
        "(prepare.protocol: after_augmentation).",
    ),
}


def flattery(protocol: str) -> tuple[str, str] | None:
    """Return a heading and the reason why scores under a protocol flatter; None for one under which they do not."""
    if protocol not in _FLATTERY:
        return None
    heading, reason = _FLATTERY[protocol]
    advice = "The scores flatter: they say little about new objects. pipelines/cable_protocols measures by how much."
    return heading, f"{reason} {advice}"


def promise(right: int, above: int, target: float) -> str:
    """Return a sentence: what it says of new images that `right` of the `above` validation images which reach a
    threshold are right, where `target` was asked for."""
    least = least_share(right, above)
    if least >= target:
        return f"In the long run more than {math.floor(100 * least)} of 100 such answers are right, 19 times in 20"
    text = (
        f"This promises little: with {100 * least:.0f} of 100 right in the long run it would happen once in 20 times, "
        "and the threshold was chosen on these very images"
    )
    enough = images_to_show(target) if target < 1 else 0
    return text + (
        f"; to show {100 * target:g} of 100 takes {enough} that reach it, all of them right" * (enough > above)
    )


def number(value: float | None) -> str:
    """Return a score with three decimals, a dash for None."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with three decimals and its sign (a true minus; none for zero), a dash for None."""
    if value is None:
        return "–"
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def per_cent(share: float, digits: int = 0, beside: float | None = None) -> str:
    """Return a share as per cent; no line breaks before the sign.

    With `digits` decimals, or up to two more where it takes them: where it has them (0.995), where rounding would make
    it a hundred that it is not, and where it would look like `beside`, another share.
    """
    value = 100 * share
    options = [places for places in range(digits, digits + 3) if share >= 1 or round(value, places) < 100]
    if not options:
        return f"{100 - 10 ** -(digits + 2):.{digits + 2}f}\u00a0%"
    # Beyond two decimals a value that ends is one that was rounded for a table (0.508830).
    exact = [places for places in options if places <= 2 and abs(round(value, places) - value) < 1e-9]
    apart = [
        places for places in options if beside in (None, share) or round(value, places) != round(100 * beside, places)
    ]
    return f"{value:.{[*exact, *apart, options[-1]][0]}f}\u00a0%"


def span(ends: Sequence[float] | None) -> str:
    """Return an interval as `low to high` with two decimals, nothing for None."""
    if ends is None:
        return ""
    return " to ".join(f"{'−' if end <= -0.005 else ''}{abs(end):.2f}" for end in ends)
