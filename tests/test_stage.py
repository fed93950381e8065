import os
import subprocess
import sys

import psutil
import pytest

from defectdistill.data.packed import open_array
from defectdistill.stage import run_stage


def test_what_the_library_refuses_ends_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"^teacher: .*missing.npy cannot be read"):
        run_stage("teacher", lambda: open_array(tmp_path / "missing.npy"))


def test_what_is_raised_elsewhere_keeps_its_traceback():
    with pytest.raises(ValueError, match="invalid literal"):
        run_stage("teacher", lambda: int("abc"))


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
