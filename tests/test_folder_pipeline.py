"""The real pipeline on folders of photographs as people have them, bad files and all."""

import csv
from pathlib import Path

import cv2
import numpy as np
from repository import STAGES, TINY, executed, make_repository, run, runs, set_params

# A student of the library's, as the default is, at the default's levels.
LIBRARY = {"student.arch": "shufflenet_v2_x0_5", "freeze.levels": [8, 16], "distill.levels": [8, 16]}


def photographs(folder: Path, classes: dict[str, int]) -> None:
    """Write grey photographs with a bright defect and a 0/255 mask beside each."""
    generator = np.random.default_rng(0)
    for shift, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            image, mask = generator.integers(0, 120, (70, 90), np.uint8), np.zeros((70, 90), np.uint8)
            top, left = generator.integers(5, 30, 2)
            mask[top : top + 20, left : left + 15 + 20 * shift] = 255
            image[mask > 0] = 220
            cv2.imwrite(str(folder / name / f"photo {number}.jpg"), image)
            cv2.imwrite(str(folder / name / f"photo {number}_mask.png"), mask)


def test_a_folder_with_bad_files_reaches_the_report(tmp_path):
    photographs(tmp_path / "mine", {"dent & rust": 9, "scratch": 9})
    (tmp_path / "mine/dent & rust/notes.jpg").write_text("not a photograph")
    (tmp_path / "mine/scratch/empty.jpg").write_bytes(b"")
    whole = (tmp_path / "mine/dent & rust/photo 0.jpg").read_bytes()
    (tmp_path / "mine/dent & rust/half.jpg").write_bytes(whole[: len(whole) // 2])
    folder = make_repository(tmp_path / "repository", TINY | LIBRARY)
    mine = f"-S ingest.source=folder -S ingest.path={tmp_path / 'mine'}"
    output = run(f"dvc exp run {mine} -S student.min_steps=5", folder)
    assert executed(output) == STAGES
    assert output.count("6 optimiser steps: 3 epochs of 2") == 2  # baseline and student, 2 epochs by their setting
    assert "3 inputs were left out" in output
    with open(folder / "data/raw/rejected.csv", newline="") as file:
        assert {row["name"] for row in csv.DictReader(file)} == {
            "dent & rust/notes.jpg",
            "scratch/empty.jpg",
            "dent & rust/half.jpg",
        }
    report = (folder / "metrics/report.html").read_text()
    assert "SYNTHETIC DATA" not in report.upper()
    assert "scratch" in report
    assert runs(folder)[-1].data.params["ingest.path"] == str(tmp_path / "mine")


def test_data_that_cannot_be_split_stops_before_training(tmp_path):
    photographs(tmp_path / "mine", {"dent": 9, "scratch": 2})
    folder = make_repository(tmp_path / "repository", TINY)
    set_params(folder, {"ingest.source": "folder", "ingest.path": str(tmp_path / "mine")})
    output = run("dvc repro", folder, fails=True)
    assert "scratch" in output
    assert "Traceback" not in output
    assert not {"augment", "teacher"} & set(executed(output))


def test_a_folder_that_a_drawing_source_does_not_read_is_named(tmp_path):
    photographs(tmp_path / "mine", {"dent": 1})
    folder = make_repository(tmp_path / "repository", TINY)
    assert "is not read" not in run("dvc repro ingest", folder)
    set_params(folder, {"ingest.path": str(tmp_path / "mine")})
    output = run("dvc repro ingest", folder)
    assert f"WARNING: ingest.source = synthetic draws its photographs; the folder ingest.path = {tmp_path}" in output
    assert "ingest.source: folder" in output
