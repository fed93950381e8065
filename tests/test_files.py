from pathlib import Path

import pytest

from defectdistill.files import digest, replacing, writing


def test_what_is_written_takes_its_place_whole(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_an_error_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail():
        with replacing(path) as beside:
            beside.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def write(path, unbuffered):
    with writing("models/weights"), open(path, "wb", buffering=0) as file:
        file.write(unbuffered)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_named():
    """The kernel's own: every write to /dev/full is refused."""
    with pytest.raises(OSError, match=r"No space left on device: 'models/weights'"):
        write("/dev/full", b"x")


def test_an_error_that_names_a_path_keeps_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing/other\.npy"):
        write(tmp_path / "missing/other.npy", b"x")


def test_a_digest_is_of_names_and_contents_in_any_order_of_the_disk(tmp_path, monkeypatch):
    def made(name, files):
        for path, content in files:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(content)
        return digest([tmp_path / name], tmp_path / name)

    first = made("a", [("x/1", "one"), ("2", "two")])
    assert made("b", [("2", "two"), ("x/1", "one")]) == first
    assert made("c", [("2", "two"), ("x/1", "One")]) != first
    assert made("d", [("2", "two"), ("y/1", "one")]) != first
    assert made("e", [("x/1", "onetw"), ("2", "o")]) != made("f", [("x/1", "one"), ("2", "two")])
    monkeypatch.chdir(tmp_path / "a")
    assert digest([tmp_path / "a" / "2"], tmp_path / "a") == digest([Path("2")])
