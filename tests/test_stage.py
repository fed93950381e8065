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
