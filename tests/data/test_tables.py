"""Tables, summaries and arrays that were changed or damaged on their way are named; no name in them climbs out."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from defectdistill.data.packed import open_array
from defectdistill.data.prepare import prepare
from defectdistill.data.tables import inside, read_json, read_table, write_json, write_table


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/hostname", "a/..", "..", "", ".", "a\0b"])
def test_a_name_that_climbs_out_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="expected a path below that folder"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["x", "images/00000.png", "a..b/..c", "./x"])
def test_a_name_below_is_taken(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


def test_what_dvc_links_to_its_cache_is_taken(tmp_path):
    (tmp_path / "cache").write_text("x")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/0.png").symlink_to(tmp_path / "cache")
    assert inside(tmp_path / "raw", "0.png").read_text() == "x"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000, "\ufeff{}"])
def test_a_summary_that_is_none_is_named(tmp_path, text):
    (tmp_path / "summary.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"summary.json (is no JSON|holds a)"):
        read_json(tmp_path / "summary.json")


def test_odd_names_survive_a_table(tmp_path):
    rows = [("a\nb", '"<script>"'), ("c,d;\te", ""), ("=1+1", "ü")]
    write_table(tmp_path / "t.csv", ("one", "two"), rows)
    assert [tuple(row.values()) for row in read_table(tmp_path / "t.csv")] == rows


@pytest.mark.parametrize("column", ["image", "mask"])
@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname"])
def test_prepare_reads_nothing_outside_of_raw(tmp_path, column, name):
    raw = tmp_path / "raw"
    (raw / "images").mkdir(parents=True)
    columns = ("id", "name", "label", "group", "image", "mask", "width", "height")
    row = {"image": "", "mask": ""} | {column: name}
    rows = [(index, f"{index}", "ab"[index % 2], f"{index}", row["image"], row["mask"], 9, 9) for index in range(12)]
    write_table(raw / "index.csv", columns, rows)
    write_json(raw / "summary.json", {})
    settings = {
        "resize": "squash",
        "masks": "given",
        "mask_coding": "auto",
        "mask_table": None,
        "seed": 0,
        "normal_classes": [],
    }
    with pytest.raises(ValueError, match="expected a path below that folder"):
        prepare(raw, tmp_path / "out", 32, fractions=(0.6, 0.2, 0.2), near_duplicates=True, **settings)


def npy(array, **options):
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(100)))
    return buffer.getvalue()


class Bomb:
    ran = False

    def __reduce__(self):
        return (setattr, (Bomb, "ran", True))


def test_arrays_that_are_none_are_refused_and_nothing_is_unpickled(tmp_path):
    path = tmp_path / "images.npy"
    lying = npy(np.zeros(3, np.uint8)).replace(b"(3,), }", b"(9999999999999999,), }").replace(b" " * 15 + b"\n", b"\n")
    for content in (
        b"",
        b"\x93NUMPY",
        zipped(),
        pickle.dumps(Bomb()),
        npy(np.array([Bomb()]), allow_pickle=True),
        lying,
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"images.npy cannot be read .*dvc checkout") as caught:
            open_array(path)
        assert type(caught.value) is ValueError
    assert not Bomb.ran
