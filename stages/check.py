"""Validate params.yaml before anything runs: keys, types, ranges, and that student and teacher share the levels."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.models.students import build_student, taps_of
from defectdistill.models.taps import select_taps
from defectdistill.models.unet3plus import build_teacher
from defectdistill.params import load_params
from defectdistill.stage import run_stage
from defectdistill.training.compute import choose_accelerator

OUTPUTS = ("data/checked.txt",)


def offline(weights: str) -> str:
    """Return the weights to try: a file must be there and fit; what would be downloaded is left to its stage."""
    return "none" if weights == "imagenet" else weights


def main() -> None:
    """Write a constant file, or stop and name what cannot work: better now than after the teacher's training."""
    params = load_params()
    choose_accelerator(params.compute.accelerator)
    student, teacher = params.student, params.teacher
    taps_of(build_student(student.arch, 2, offline(student.weights)), params.distill.levels)
    if teacher.network == "classifier":
        taps_of(build_student(teacher.arch, 2, offline(teacher.weights)), params.freeze.levels)
    else:
        taps = build_teacher(teacher.encoder, teacher.width, 1, offline(teacher.weights)).taps
        select_taps(
            {tap.stride: tap for tap in taps}, params.freeze.levels, f"the teacher's encoder {teacher.encoder!r}"
        )
    output = Path(*OUTPUTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("check", main, OUTPUTS)
