"""Validate params.yaml before anything runs: keys, types, ranges, and that the networks fit images and levels.

`check.py TASK …` names the tasks of students that its pipeline can finish; none named: classification.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.models.batch_norms import check_batch_norms
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


def check_network(section: Section, name: str, strides: list[int], side: int, several: bool) -> None:
    """Build what section `name` describes; raises ValueError for a missing stride, images that it does not take, and
    what `several` processes cannot train."""
    weights = "none" if section.weights == "imagenet" else section.weights  # its stage downloads
    key = "arch" if hasattr(section, "arch") else "encoder"
    if key == "arch":
        network = build_student(section.arch, 2, weights)
    elif hasattr(section, "width"):
        network = build_unet3plus(section.encoder, section.width, 1, weights)
    else:
        network = build_resunet(section.encoder, 1, section.global_context, section.feature_fusion, weights)
    owner = f"{name}.{key} = {getattr(section, key)!r}"
    select_taps(network.taps() if key == "arch" else {tap.stride: tap for tap in network.taps}, strides, owner)
    check_image_size(network, side, owner)
    if several:
        check_batch_norms(network, owner)


def main() -> None:
    """Write a constant file, or stop and name what cannot work: better now than after the teacher's training."""
    params = load_params()
    params.require_task(FINISHED)
    params.ingest.require_folder()
    choose_accelerator(params.compute.accelerator)
    side, hinted = params.prepare.image_size, [params.distill.hint_level] * bool(params.distill.hint_epochs)
    several = params.compute.devices * params.compute.nodes > 1
    check_network(params.student, "student", params.distill.levels + hinted, side, several)
    check_network(params.teacher, "teacher", params.freeze.levels, side, several)
    output = Path(*OUTPUTS)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("check", main, OUTPUTS)
