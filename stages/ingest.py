"""Bring a source's photographs into the canonical form of data/raw; bad files are listed, not fatal."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.data.ingest import write_raw
from defectdistill.params import load_params
from defectdistill.stage import run_stage
from defectdistill.tracking.runs import stage_run

OUTPUTS = ("data/raw", "metrics/runs/ingest.json")
SOURCE = "defectdistill.data.sources.{}.source"


def main() -> None:
    """Read the source that params.yaml names, write data/raw."""
    params = load_params()
    settings, required = params.ingest, params.tracking.required
    options = getattr(settings, settings.source).model_dump()
    source = importlib.import_module(SOURCE.format(settings.source))  # the other sources are no dependency of this run
    used = {"source": settings.source, "path": settings.path, "max_pixels": settings.max_pixels} | options
    with stage_run("ingest", {f"ingest.{name}": value for name, value in used.items()}, required) as run:
        summary = write_raw(
            source.samples(Path(settings.path), **options),
            Path("data/raw"),
            source=settings.source,
            synthetic=source.DRAWN,
            max_pixels=settings.max_pixels,
        )
        run.log_metrics({f"images/{label}": count for label, count in summary["counts"].items()})
        run.log_metrics({name: summary[name] for name in ("unlabelled", "masks", "rejected")})
        run.log_artifacts(Path("data/raw/rejected.csv"))
    if settings.source == "synthetic" and any(inside.is_dir() for inside in Path(settings.path).glob("[!.@_]*")):
        print(
            "WARNING: ingest.source = synthetic draws its photographs; the folder ingest.path = "
            f"{settings.path} is not read; for photographs of your own set ingest.source: folder",
            file=sys.stderr,
        )
    labelled = sum(summary["counts"].values())
    print(f"{labelled} labelled images, {summary['unlabelled']} without a label; {summary['masks']} have a mask")
    if summary["masks_of_another_size"]:
        print(f"{summary['masks_of_another_size']} masks are larger or smaller than their photograph, and are scaled")
    if settings.source == "folder" and settings.folder.groups is None:
        objects = "each photograph counts as an object of its own"
        if summary["groups"] < labelled:
            objects = f"{summary['groups']} photographs by their names (NAME.rf.…), the others are changed copies"
        print(f"{objects}; are there several of one part? ingest.folder.groups")
    if summary["rejected"]:
        print(f"{summary['rejected']} inputs were left out: data/raw/rejected.csv says why", file=sys.stderr)


if __name__ == "__main__":
    run_stage("ingest", main, OUTPUTS)
