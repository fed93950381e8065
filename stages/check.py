"""Validate params.yaml before anything runs: keys, types, ranges, and that student and teacher share the levels."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.models.encoders import build_encoder
from defectdistill.models.students import build_student, taps_of
from defectdistill.models.taps import select_taps
from defectdistill.params import ParamsError, load_params


def main() -> None:
    """Write a constant file, or stop with every problem named."""
    try:
        params = load_params()
        taps_of(build_student(params.student.arch, classes=2), params.distill.levels)
        encoder = build_encoder(params.teacher.encoder, in_channels=3, width=1)
        levels = {tap.stride: tap for tap in encoder.taps}
        select_taps(levels, params.freeze.levels, f"the teacher's encoder {params.teacher.encoder!r}")
    except (ParamsError, ValueError) as error:
        sys.exit(f"check: {error}")
    output = Path("data/checked.txt")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("params.yaml is valid\n")


if __name__ == "__main__":
    main()
