"""Validate params.yaml before anything runs: keys, types, ranges, and that the networks fit images and levels.

`check.py TASK …` names the tasks of students that its pipeline can finish; none named: classification.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.models.image_size import check_image_size
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


def check_network(section: Section, name: str, strides: list[int], side: int) -> None:
    """Build what section `name` describes; raises ValueError where it lacks a stride, or does not take such images."""
    weights, key = offline(section.weights), "arch" if hasattr(section, "arch") else "encoder"
    if key == "arch":
        network = build_student(section.arch, 2, weights)
    elif hasattr(section, "width"):
        network = build_unet3plus(section.encoder, section.width, 1, weights)
    else:
        network = build_resunet(section.encoder, 1, section.global_context, section.feature_fusion, weights)
    owner = f"{name}.{key} = {getattr(section, key)!r}"
    select_taps(network.taps() if key == "arch" else {tap.stride: tap for tap in network.taps}, strides, owner)
    check_image_size(network, side, owner)


def main() -> None:
    """Write a constant file, or stop and name what cannot work: better now than after the teacher's training."""
    params = load_params()
    params.require_task(FINISHED)
    params.ingest.require_folder()
    choose_accelerator(params.compute.accelerator)
    side, hinted = params.prepare.image_size, [params.distill.hint_level] * bool(params.distill.hint_epochs)
    check_network(params.student, "student", params.distill.levels + hinted, side)
    check_network(params.teacher, "teacher", params.freeze.levels, side)
    output = Path(*OUTPUTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("check", main, OUTPUTS)
