import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.ingest import LARGEST_REST, write_raw
from defectdistill.data.sample import Rejected, Sample


def png(height=20, width=30, value=90, kind=".png"):
    image = np.random.default_rng(0).integers(value - 20, value + 20, (height, width)).astype(np.uint8)
    image[2:6, 2:6] = 255
    return cv2.imencode(kind, image)[1].tobytes()


def mask(height=20, width=30):
    image = np.zeros((height, width), np.uint8)
    image[2:6, 2:6] = 255
    return cv2.imencode(".png", image)[1].tobytes()


GOOD = [
    Sample("b/2.png", "b", png(), mask(), group="g"),
    Sample("a/1.JPG", "a", png(kind=".jpg"), None),
    Sample("new/3.png", None, png()),
]


def ingest(samples, output, max_pixels=1000):
    summary = write_raw(iter(samples), output, "folder", synthetic=False, max_pixels=max_pixels)
    with (output / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    with (output / "rejected.csv").open(newline="") as file:
        rejected = {row["name"]: row["reason"] for row in csv.DictReader(file)}
    return summary, index, rejected


def test_the_canonical_form(tmp_path):
    summary, index, rejected = ingest([*GOOD, Rejected("c/9.png", "a reason")], tmp_path / "raw")
    assert [row["id"] for row in index] == ["00000", "00001", "00002"]
    assert index[0] == {
        "id": "00000", "name": "a/1.JPG", "label": "a", "group": "a/1.JPG", "image": "images/00000.jpg", "mask": "",
        "width": "30", "height": "20", "split": "",
    }  # fmt: skip
    assert (index[1]["group"], index[1]["mask"]) == ("g", "masks/00001.png")
    assert (index[2]["label"], index[2]["group"]) == ("", "new/3.png")
    assert (tmp_path / "raw/images/00001.png").read_bytes() == GOOD[0].image
    assert (tmp_path / "raw/masks/00001.png").read_bytes() == GOOD[0].mask
    assert rejected == {"c/9.png": "a reason"}
    assert summary == json.loads((tmp_path / "raw/summary.json").read_text())
    assert summary == {
        "source": "folder", "synthetic": False, "counts": {"a": 1, "b": 1}, "unlabelled": 1, "groups": 2, "masks": 1,
        "rejected": 1, "masks_left_out": 0, "masks_of_another_size": 0,
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        "images", "index.csv", "masks", "rejected.csv", "summary.json",
    ]  # fmt: skip
    assert (tmp_path / "raw/summary.json").read_text().endswith("}\n")
    assert b"\r" not in (tmp_path / "raw/index.csv").read_bytes()


@pytest.mark.parametrize(
    ("image", "drawn", "reason"),
    [
        (b"", None, "zero bytes"),
        (b"just some notes\n", None, "not an image but text"),
        (png()[:-20], None, "truncated"),
        (png(50, 50), None, "2500 pixels, more than the limit of 1000; raise ingest.max_pixels"),
        (png(), mask(30, 20), "its mask is 20×30, the image (upright) 30×20"),
        (png(), mask()[:-20], "its mask: truncated"),
        (png(), b"", "its mask: zero bytes"),
        (png(), mask(60, 60), "its mask: 60×60 = 3600 pixels"),
        (
            png(),
            cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8))[1].tobytes(),
            "looks like a photograph",
        ),
    ],
)
def test_bad_files_are_left_out_one_by_one(tmp_path, image, drawn, reason):
    summary, index, rejected = ingest([*GOOD, Sample("a/bad.jpg", "a", image, drawn)], tmp_path)
    assert reason in rejected["a/bad.jpg"]
    assert len(index) == 3
    assert summary["rejected"] == 1


def test_a_photograph_and_its_mask_that_changed_places_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    photograph = cv2.imencode(".png", rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))[1].tobytes()
    _, _, rejected = ingest([*GOOD, Sample("a/9.bmp", "a", mask(), photograph)], tmp_path / "raw")
    assert "is a photograph, and what should be the photograph has 2 colours" in rejected["a/9.bmp"]


def test_a_file_that_vanished_is_left_out(tmp_path):
    _, _, rejected = ingest([*GOOD, Sample("a/x.png", "a", tmp_path / "x.png")], tmp_path / "raw")
    assert "cannot be read" in rejected["a/x.png"]


def test_names_that_climb_write_nothing_outside_of_the_output(tmp_path):
    names = [
        "../../up.png",
        "/tmp/absolute.png",
        "a/../../b.png",
        "~/home.png",
        "a/x.png/../../../y.png",
        "..",
        "a\0.png",
    ]
    ingest([*GOOD, *(Sample(name, "a", png(), mask()) for name in names)], tmp_path / "deep/er/raw")
    written = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) == 3 + 4 + 2 * len(names)
    assert all(path.is_relative_to(tmp_path / "deep/er/raw") for path in written)


def test_a_file_longer_than_its_pixels_can_be_is_not_read(tmp_path, monkeypatch):
    image, drawn = tmp_path / "long.png", tmp_path / "long_mask.png"
    for path in (image, drawn):
        path.write_bytes(png())
        with path.open("ab") as file:
            file.truncate(LARGEST_REST + 8 * 1000 + 1)  # takes no disk: a hole
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    samples = [Sample("a/long.png", "a", image), Sample("a/ok.png", "a", png(), drawn)]
    _, _, rejected = ingest([*GOOD, *samples], tmp_path / "raw")
    assert "it has 10008001 bytes, more than 10008000, which ingest.max_pixels = 1000" in rejected["a/long.png"]
    assert "its mask has 10008001 bytes" in rejected["a/ok.png"]


def test_the_order_of_the_source_does_not_matter(tmp_path):
    ingest(GOOD, tmp_path / "one")
    ingest(GOOD[::-1], tmp_path / "two")
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 7
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_a_second_run_leaves_nothing_of_the_first(tmp_path):
    ingest(GOOD, tmp_path)
    ingest(GOOD[:2], tmp_path)
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_no_image_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"no labelled image .*one folder per class(?s:.*)a/1.jpg: zero bytes"):
        ingest([Sample("a/1.jpg", "a", b"")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_single_class_is_named(tmp_path):
    with pytest.raises(DataError, match=r"all 2 labelled images are of the class 'a'; .* at least two"):
        ingest([GOOD[1], Sample("a/2.png", "a", png()), GOOD[2]], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_comes_twice_is_a_mistake_of_the_source(tmp_path):
    with pytest.raises(ValueError, match=r"'b/2.png' twice"):
        ingest([GOOD[0], GOOD[0]], tmp_path)


def test_masks_that_are_not_called_so_are_no_photographs(tmp_path):
    masks = [Sample("bw/a/1.png", "a", mask(), None), Sample("bw/b/2.png", "b", mask(), None)]
    summary, index, rejected = ingest([*GOOD, *masks], tmp_path)
    assert {row["name"] for row in index} == {item.name for item in GOOD}
    assert summary["masks_left_out"] == 2
    assert all("has 2 colours, a mask and no photograph" in rejected[item.name] for item in masks)
    _, index, rejected = ingest([*masks], tmp_path)
    assert len(index) == 2, "drawings alone are what they are"
    assert not rejected
    blank = Sample("a/blank.png", "a", cv2.imencode(".png", np.full((9, 9), 7, np.uint8))[1].tobytes(), None)
    assert not ingest([*GOOD, blank], tmp_path)[2]
    many = [replace(item, name=f"{number}/{item.name}") for number in range(12) for item in GOOD]
    summary, _, rejected = ingest([*many, *masks], tmp_path)
    assert {*rejected} == {item.name for item in masks}
    assert summary["masks_left_out"] == 2, "they have the names of photographs"
    drawings = [replace(item, name=f"{item.label}/plan {number}.png") for number, item in enumerate(masks)]
    summary, _, rejected = ingest([*many, *drawings], tmp_path)
    assert {*rejected} == {item.name for item in drawings}
    assert summary["masks_left_out"] == 0, "two drawings among many photographs"


@pytest.mark.parametrize("name", ["bw/a/1.png", "a/1Mask.png", "a/1 drawn.jpg"])
def test_masks_with_soft_edges_that_are_named_after_a_photograph_are_none(tmp_path, name):
    drawing = cv2.imdecode(np.frombuffer(mask(200, 300), np.uint8), 0)
    drawing[50:120, 80:200] = 255
    soft = cv2.imencode(Path(name).suffix, cv2.GaussianBlur(drawing, (5, 5), 0))[1].tobytes()
    photographs = [replace(item, image=png(200, 300, kind=Path(item.name).suffix.lower()), mask=None) for item in GOOD]
    drawn = Sample(name, "a", soft, None)
    summary, index, rejected = ingest([*photographs, drawn], tmp_path, max_pixels=10**5)
    assert len(index) == 3
    assert "is nearly all black or white, a mask and no photograph" in rejected[name]
    assert summary["masks_left_out"] == 1
    by_itself = [replace(drawn, name=other) for other in ("a/against the light.png", "a/12.png")]  # 12 is not 1
    by_itself += [replace(drawn, name="b/1.png", label="b"), replace(drawn, mask=mask(200, 300))]
    for other in by_itself:
        assert not ingest([*photographs, other], tmp_path, max_pixels=10**5)[2], other.name


def test_a_mask_of_another_size_is_kept_if_its_shape_is_that_of_the_photograph(tmp_path):
    half = Sample("a/half.png", "a", png(), mask(10, 15))
    summary, index, rejected = ingest([*GOOD, half], tmp_path)
    assert not rejected
    assert summary["masks_of_another_size"] == 1
    assert next(row for row in index if row["name"] == "a/half.png")["mask"]


def test_a_photograph_that_cannot_be_read_names_the_picture_beside_it(tmp_path):
    (tmp_path / "x.png").write_bytes(png())
    phone = Sample("a/x.HEIC", "a", b"\0\0\0\x18ftypheic" + bytes(20), tmp_path / "x.png")
    _, _, rejected = ingest([*GOOD, phone], tmp_path / "raw")
    assert "HEIC" in rejected["a/x.HEIC"]
    assert "x.png counts as its mask; if that is the photograph, take this file out" in rejected["a/x.HEIC"]
