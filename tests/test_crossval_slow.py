"""`make crossval` on tiny data: every fold an experiment, and what they say together."""

import csv
import re

import pytest
from repository import PROJECT, TINY, executed, make_repository, run

pytestmark = pytest.mark.slow


def test_every_fold_is_an_experiment_and_the_summary_compares_them(tmp_path):
    folder = make_repository(tmp_path / "repository", TINY)
    recipe = re.search(r"^crossval:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)[1]
    (folder / "Makefile").write_text(f"FOLDS ?= 3\nSEEDS ?= 0\ncrossval:\n{recipe}")
    output = run("make crossval > ../crossval.log 2>&1; cat ../crossval.log", folder)
    assert executed(output).count("evaluate") == 3, output[-3000:]
    assert "3 trainings, test/macro_f1" in output
    assert "over 3 splits" in output
    with (folder / "summary/trainings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {f"prepare fold {fold}, prepare seed 0" for fold in range(3)}
    assert (folder / "summary/trainings_1.png").is_file()
