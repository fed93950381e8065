import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from defectdistill.data.packed import labels_of, open_array
from defectdistill.stage import in_words, run_stage


def test_what_the_library_refuses_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"^teacher: .*missing.npy cannot be read"):
        run_stage("teacher", lambda: open_array(tmp_path / "missing.npy"))


def test_what_is_raised_elsewhere_keeps_its_traceback():
    with pytest.raises(ValueError, match="invalid literal"):
        run_stage("teacher", lambda: int("abc"))


def test_what_c_code_raises_in_a_line_of_the_library_is_a_bug(tmp_path):
    """`int("x")` leaves no line of its own in the traceback: the last one is the library's, and it raised nothing."""
    (tmp_path / "index.csv").write_text("name,label,mask_source\na.png,x,given\n")
    with pytest.raises(ValueError, match="invalid literal") as raised:
        labels_of(tmp_path)
    assert in_words(raised.value) is None


def refused(path=None, number=errno.ENOSPC):
    raise OSError(number, os.strerror(number), path)


@pytest.fixture
def disks(tmp_path, monkeypatch):
    """Two folders, of which one is on a disk with 5 GB free and the other, with all else, on one with 2."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def usage(path):
        return SimpleNamespace(free=5e9 if Path(path).is_relative_to(tmp_path / "there") else 2e9)

    monkeypatch.setattr("shutil.disk_usage", usage)
    return tmp_path


def test_free_space_is_that_of_the_disk_that_refused_and_a_stage_has_its_cache(disks):
    path = str(disks / "there/new/folder/images.npy")
    with pytest.raises(SystemExit) as ended:
        run_stage("augment", lambda: refused(path), ["data/augmented"])
    said = str(ended.value)
    assert f"augment: {path} cannot be written or read: No space left on device (5.00 GB are free in " in said
    assert f"free in {disks / 'there'}). Make room, or give the right to; what earlier stages made is untou" in said
    with pytest.raises(SystemExit, match=rf"one of {disks}/there/out in .*here cannot .*\(5\.00 GB .* `dvc checkout`"):
        run_stage("augment", refused, [str(disks / "there/out")])
    with pytest.raises(SystemExit, match=r"one of out in .*here cannot .*\(2\.00 GB are free in .*here\)"):
        run_stage("augment", refused, ["out"])


def test_who_is_no_stage_is_not_sent_to_dvc_s_cache(disks):
    with pytest.raises(SystemExit, match=r"^defectdistill: x.csv cannot .*\(2.00 GB .* give the right to$"):
        run_stage("defectdistill", lambda: refused("x.csv"))
    for path in ("predictions/x.csv", None):
        error = OSError(errno.EACCES, "Permission denied", path)
        assert in_words(error, [str(disks / "there/predictions")]).endswith("give the right to")
    assert "5.00 GB are free" in in_words(error, [str(disks / "there/predictions")])
    assert in_words(OSError(errno.EDQUOT, "Disk quota exceeded", 3)).startswith("one of the files in ")
    assert in_words(RuntimeError("a bug")) is None


def test_a_stage_that_works_just_ends():
    seen = []
    run_stage("teacher", lambda: seen.append(1))
    assert seen == [1]


HOLDS = """
import os, sys, time
from pathlib import Path
from defectdistill.stage import run_stage
def main():
    Path("out").mkdir()
    Path("out", sys.argv[1]).touch()
    print("begun", flush=True)
    time.sleep(float(sys.argv[2]))
run_stage("prepare", main, ["out"])
"""


def start(folder, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", HOLDS, *arguments], cwd=folder, stdout=subprocess.PIPE, **options)


def test_a_stage_waits_for_another_process_that_runs_it_here(tmp_path):
    first = start(tmp_path, "first", "60")
    assert first.stdout.readline() == b"begun\n"
    second = start(tmp_path, "second", "0")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first"]
    first.kill()  # the system frees its lock
    assert second.wait(30) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["second"]  # nothing of the first is left
    first.wait()


def test_another_folder_does_not_wait(tmp_path):
    (tmp_path / "copy").mkdir()
    first = start(tmp_path, "first", "60")
    assert first.stdout.readline() == b"begun\n"
    assert start(tmp_path / "copy", "second", "0", env=os.environ | {"DVC_ROOT": str(tmp_path)}).wait(30) == 0
    first.kill()
    first.wait()


def test_a_stage_ends_with_the_dvc_that_started_it(tmp_path):
    """A shell stands between the two, as dvc puts it."""
    dvc = tmp_path / "dvc"
    dvc.write_text(f"#!{sys.executable}\nimport subprocess, sys\nsubprocess.run(sys.argv[1], shell=True)\n")
    dvc.chmod(0o755)
    (tmp_path / "stage.py").write_text(HOLDS)
    command = f"{sys.executable} stage.py only 60; true"
    environment = os.environ | {"DVC_STAGE": "prepare", "DVC_ROOT": str(tmp_path)}
    process = subprocess.Popen([dvc, command], cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"begun\n"
    stages = [child for child in psutil.Process(process.pid).children(recursive=True) if "stage.py" in child.cmdline()]
    process.kill()
    _, alive = psutil.wait_procs(stages, timeout=10)
    assert not alive
