"""Validate params.yaml before anything runs: keys, types, ranges, and that student and teacher share the levels.

`check.py TASK …` names the tasks of students that its pipeline can finish; none named: classification.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.models.resunet import build_resunet
from defectdistill.models.students import build_student
from defectdistill.models.taps import select_taps
from defectdistill.models.unet3plus import build_unet3plus
from defectdistill.params import load_params
from defectdistill.sections import Section
from defectdistill.stage import run_stage
from defectdistill.training.compute import choose_accelerator

OUTPUTS = ("data/checked.txt",)
FINISHED = sys.argv[1:] or ["classification"]


def offline(weights: str) -> str:
    """Return the weights to try: a file must be there and fit; what would be downloaded is left to its stage."""
    return "none" if weights == "imagenet" else weights


def check_levels(network: Section, strides: list[int], owner: str) -> None:
    """Build what section `student` or `teacher` describes; raises ValueError where it lacks one of `strides`."""
    weights = offline(network.weights)
    if hasattr(network, "arch"):
        taps = build_student(network.arch, 2, weights).taps()
    elif hasattr(network, "width"):
        taps = build_unet3plus(network.encoder, network.width, 1, weights).taps
    else:
        taps = build_resunet(network.encoder, 1, network.global_context, network.feature_fusion, weights).taps
    by_stride = taps if isinstance(taps, dict) else {tap.stride: tap for tap in taps}
    select_taps(by_stride, strides, f"the {owner} {getattr(network, 'arch', None) or network.encoder!r}")


def main() -> None:
    """Write a constant file, or stop and name what cannot work: better now than after the teacher's training."""
    params = load_params()
    params.require_task(FINISHED)
    choose_accelerator(params.compute.accelerator)
    check_levels(params.student, params.distill.levels, "student")
    check_levels(params.teacher, params.freeze.levels, "teacher's encoder")
    output = Path(*OUTPUTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("check", main, OUTPUTS)
