"""The file that users copy beside student.onnx: what it does not read as `ingest` does it refuses."""

import json
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from defectdistill.export import example


@pytest.fixture
def answer(monkeypatch):
    """Return what the example does with a photograph; a session that says 0.9 and 0.1 stands in for the file's."""
    notes = {"threshold": json.dumps(0.5), "classes": json.dumps(["a", "b"])}
    session = SimpleNamespace(
        get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=notes),
        run=lambda names, given: [np.array([[0.9, 0.1]])],
    )
    monkeypatch.setattr(example.onnxruntime, "InferenceSession", lambda path: session)

    def answer(*paths):
        monkeypatch.setattr(example.sys, "argv", ["example.py", "student.onnx", *map(str, paths)])
        return example.main()

    return answer


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_opaque_photographs_are_classified(answer, tmp_path, capsys, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "photograph.png")
    answer(tmp_path / "photograph.png")
    assert capsys.readouterr().out.endswith("photograph.png: a 0.900\n")


@pytest.mark.parametrize("mode", ["I;16", "RGBA", "LA"])
def test_wide_grey_and_transparent_ones_are_refused_by_name(answer, tmp_path, capsys, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "photograph.png")
    assert answer(tmp_path / "photograph.png") == 1
    assert f"photograph.png: not classified, mode {mode}: divide 16 bits by 257" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_colour_of_sixteen_bits_that_uses_twelve_is_refused(answer, tmp_path, capsys, kind):
    deep = np.arange(300, dtype=np.uint16).reshape(10, 10, 3)
    cv2.imwrite(str(tmp_path / f"dark{kind}"), deep * 13)
    cv2.imwrite(str(tmp_path / f"full{kind}"), deep * 200)
    assert answer(tmp_path / f"dark{kind}", tmp_path / f"full{kind}") == 1
    said = capsys.readouterr()
    assert re.search(f"dark{kind}: not classified, colour of 16 bits .*stretch it to the full range", said.err)
    assert said.out.endswith(f"full{kind}: a 0.900\n")


def test_what_is_no_photograph_costs_itself_alone(answer, tmp_path, capsys):
    Image.new("RGB", (4, 4)).save(tmp_path / "pages.tif", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no photograph")
    Image.new("RGB", (4, 4)).save(tmp_path / "photograph.png")
    names = ("pages.tif", "cut.jpg", "text.jpg", "gone.jpg", "photograph.png")
    assert answer(*(tmp_path / name for name in names)) == 1
    said = capsys.readouterr()
    assert re.search(r"pages\.tif: not classified, 2 pages or frames", said.err)
    assert all(f"{name}: not classified" in said.err for name in names[1:4])
    assert said.out.endswith("photograph.png: a 0.900\n")


def test_a_photograph_from_a_phone_that_holds_its_preview_is_classified(answer, tmp_path, capsys):
    preview = Image.new("RGB", (2, 2))
    Image.new("RGB", (4, 4)).save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[preview])
    assert Image.open(tmp_path / "phone.jpg").n_frames == 2
    assert answer(tmp_path / "phone.jpg") == 0
    assert capsys.readouterr().out.endswith("phone.jpg: a 0.900\n")
