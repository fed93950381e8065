"""Trainings that a table takes together differ in nothing but their seeds, and its stage asks for that."""

import os
import shutil
import subprocess
import sys

import pytest
from repository import PROJECT, YAML_12, set_params

from defectdistill.data.errors import DataError
from defectdistill.data.tables import write_json
from defectdistill.trainings import SPLIT, require_alike, rows_of, splits_of, trainings_of


def train(folder, name, **changes):
    """Write the params.yaml of a training; keys are written a__b for a.b."""
    (folder / name).mkdir(parents=True)
    shutil.copy(PROJECT / "params.yaml", folder / name)
    set_params(folder / name, {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(folders):
    return [str(folder) for folder in folders]


def test_trainings_come_in_the_order_of_their_seeds(here):
    for seed in (10, 2):
        train(here, f"rows/mse-{seed}", student__seed=seed)
    train(here, "rows/mse_cosine-2", student__epochs=3)  # of another row
    assert names(trainings_of("mse")) == ["rows/mse-2", "rows/mse-10"]
    train(here, "rows/mse-cosine-1", student__epochs=3)
    assert names(trainings_of("mse")) == ["rows/mse-2", "rows/mse-10"]


def test_a_training_of_an_earlier_setting_is_named(here):
    for seed in range(3):
        train(here, f"rows/a-{seed}", student__seed=seed, student__epochs=12 if seed == 1 else 30)
    message = r"student\.epochs = 30 in rows/a-0, rows/a-2; 12 in rows/a-1\. Remove .* or train them again"
    with pytest.raises(DataError, match=message):
        trainings_of("a")
    shutil.rmtree("rows/a-1")
    assert names(trainings_of("a")) == ["rows/a-0", "rows/a-2"]


def test_what_makes_no_training_may_differ(here):
    train(here, "rows/a-0", student__seed=0)
    train(
        here, "rows/a-1", student__seed=1, evaluate__resamples=500, registry__min_gain=0.1, ingest__folder__groups="x"
    )
    assert len(trainings_of("a")) == 2


def test_splits_may_differ_where_they_are_compared(here):
    train(here, "rows/a-0-0", prepare__seed=0)
    train(here, "rows/a-1-0", prepare__seed=1)
    with pytest.raises(DataError, match=r"prepare\.seed = 0 in rows/a-0-0; 1 in rows/a-1-0"):
        trainings_of("a")
    assert names(trainings_of("a", SPLIT)) == ["rows/a-0-0", "rows/a-1-0"]


@pytest.mark.parametrize(
    ("model", "key"), [("teacher", "student__epochs"), ("teacher", "freeze__batch_size"), ("baseline", "distill__beta")]
)
def test_a_model_is_compared_by_what_made_it(here, model, key):
    """`alone` in cwd is not trained again for another distill.temperature, nor a teacher for longer students."""
    train(here, "one")
    train(here, "two", **{key: 5})
    folders = [here / "one", here / "two"]
    require_alike(folders, model)
    with pytest.raises(DataError, match=key.replace("__", r"\.")):
        require_alike(folders, "student")


def test_many_differences_are_counted(here):
    train(here, "rows/a-0")
    train(
        here, "rows/a-1", student__epochs=7, student__lr=0.5, student__warmup=3, distill__beta=0.1, distill__gamma=0.3
    )
    with pytest.raises(DataError, match=r"; and 2 more\. Remove"):
        trainings_of("a")


def test_a_row_without_a_training_and_rows_of_other_seeds_are_named(here):
    with pytest.raises(DataError, match=r"no training of the row 'a' in .*rows: train it first"):
        rows_of(["a"])
    for name in ("a-0", "a-1", "b-1"):
        train(here, f"rows/{name}")
    with pytest.raises(DataError, match="row a was trained with seeds 0, 1, row b with 1: train the missing ones"):
        rows_of(["a", "b"])
    train(here, "rows/b-0")
    assert {row: names(folders) for row, folders in rows_of(["a", "b"]).items()} == {
        row: [f"rows/{row}-0", f"rows/{row}-1"] for row in "ab"
    }


def test_splits_of_other_photographs_or_settings_are_named(here):
    for split, digest in enumerate(("a" * 64, "a" * 64, "b" * 64)):
        train(here, f"arm/{split}", prepare__seed=split, student__epochs=split + 3)  # which the teachers are not for
        (here / f"arm/{split}/data/prepared/test").mkdir(parents=True)
        write_json(here / f"arm/{split}/data/prepared/test/photographs.json", {"sha256": digest})
    with pytest.raises(DataError, match=r"saw other photographs: sha256 = a{12} in arm/0, arm/1; b{12} in arm/2\. Rem"):
        splits_of(["arm", "arm"])
    shutil.rmtree("arm/2")
    assert {
        arm: {number: str(split) for number, split in splits.items()} for arm, splits in splits_of(["arm"]).items()
    } == {"arm": {0: "arm/0", 1: "arm/1"}}
    (here / "arm/1/data/prepared/test/photographs.json").unlink()  # divided by an earlier version
    with pytest.raises(DataError, match=r"no value in arm/1"):
        splits_of(["arm"])
    set_params(here / "arm/1", {"teacher.epochs": 3})
    with pytest.raises(DataError, match=r"other parameters: teacher\.epochs = \d+ in arm/0; 3 in arm/1"):
        splits_of(["arm"])


def refused(folder, stage, *arguments):
    command = [sys.executable, PROJECT / "stages" / stage, *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT / "src")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment).stderr


MIXED = "trainings that the table takes together were trained with other parameters: student.epochs = 9 in "


@pytest.mark.parametrize("stage", ["ablation", "comparison", "worth", "dice"])
def test_every_table_refuses_trainings_of_two_settings_before_it_asks_any(tmp_path, stage):
    """There is no photograph and no model here: the folders are compared first."""
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    number = "0-" if stage == "worth" else ""
    for seed in (0, 1):
        train(tmp_path, f"rows/a-{number}{seed}", student__seed=seed, student__epochs=9 + seed)
    tables = {
        "ablation": ("paper.csv", "row,words\na,A\n"),
        "comparison": ("paper.csv", "row,words\nteacher,T\na,A\n"),
        "worth": ("rows.csv", "row,words,kind,arm,against\na,A,student,arm,\n"),
        "dice": (
            "paper.csv",
            "words,alone_models,distilled_models,teacher_models\nA" + 3 * ",rows/a-*/models/student",
        ),
    }
    file, text = tables[stage]
    (tmp_path / file).write_text(text)
    (tmp_path / "data/prepared").mkdir(parents=True)
    write_json(tmp_path / "data/prepared/summary.json", {})
    if stage == "dice":
        for seed in (0, 1):
            (tmp_path / f"rows/a-{seed}/models/student").mkdir(parents=True)
    if stage == "comparison":
        rows = YAML_12.load(PROJECT / "pipelines/fitnets/rows.yaml")
        rows["table"] |= {"reference": "a", "confusion": [], "question": None}
        YAML_12.dump(rows, tmp_path / "rows.yaml")
    error = refused(tmp_path, f"{stage}.py", "title")
    where = [f"rows/a-{number}{seed}" for seed in (0, 1)]
    assert error.startswith(f"{stage}: {MIXED}{where[0]}; 10 in {where[1]}."), error
