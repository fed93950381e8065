"""The command `defectdistill predict`: what it writes, what it says, and how it ends."""

import itertools
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from prediction_cases import CLASSES, SIDE, mixed, photograph, write_model
from repository import environment
from typer.testing import CliRunner

from defectdistill.cli import app
from defectdistill.data.images import PIXEL_CEILING
from defectdistill.data.tables import read_json, read_table
from defectdistill.prediction import run
from defectdistill.prediction.output import JOB, UNFINISHED, WRITTEN
from defectdistill.prediction.read import read_photograph
from defectdistill.prediction.tables import LINES, REJECTED, TABLE


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path)
    mixed(tmp_path / "in")
    return tmp_path


def predict(*words, status=0):
    """Run the command in this process; return what it said."""
    done = CliRunner().invoke(app, ["predict", *map(str, words)])
    assert done.exit_code == status, done.output
    return done.output


def contents(folder="predictions"):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_it_writes_what_the_assessor_says_of_each_photograph(there):
    said = predict("in")
    assert set(contents()) == set(WRITTEN)
    rows = [json.loads(line) for line in Path("predictions", LINES).read_text().splitlines()]
    assert len(rows) == 8
    assessor = run.load_assessor(Path("models/student"), Path("metrics/calibration.json"), 64)
    expected = assessor([read_photograph(Path(row["path"]), PIXEL_CEILING) for row in rows])
    assert [row["class"] for row in rows] == expected.classes
    assert [row["uncertain"] for row in rows] == list(expected.uncertain)
    assert len(set(expected.classes)) > 1
    probs = [[row["probabilities"][name] for name in CLASSES] for row in rows]
    np.testing.assert_allclose(probs, expected.probabilities, atol=2e-6)
    np.testing.assert_allclose([row["entropy"] for row in rows], expected.entropy, atol=2e-6)
    summary = read_json(Path("predictions/summary.json"))
    assert (summary["images"], summary["bad"], summary["threshold"]) == (8, 0, 0.5)
    assert summary["uncertain"] == expected.uncertain.sum()
    assert f"8 photographs, {expected.uncertain.sum()} of them for a person (confidence below 0.500)" in said


def test_bad_files_are_listed_the_rest_is_done_and_the_status_is_one():
    Path("in/empty.png").touch()
    Path("in/b/broken.jpg").write_bytes(Path("in/one.jpg").read_bytes()[:300])
    Path("in/notes.txt").write_text("x")
    Path("in/one_mask.png").touch()
    said = predict("in", status=1)
    assert "2 could not be read" in said
    assert "passed over: 1 files not named like images (.txt 1) and 1 masks" in said
    assert [row["path"] for row in read_table(Path("predictions", REJECTED))] == ["in/empty.png", "in/b/broken.jpg"]
    assert len(read_table(Path("predictions", TABLE))) == 8


def test_files_that_are_passed_over_with_odd_endings_are_counted_and_do_not_change_the_status():
    """In a process of its own, whose standard output takes UTF-8 alone."""
    for name in (b"Nr. 5 Pr\xfcfung", b"a.\xfc", b"b.x\x1b[31m", b"c." + b"x" * 99, b"d.x y", b"e.TXT", b"f", b"g."):
        Path(os.fsdecode(b"in/" + name)).touch()
    utf8 = environment(OMP_NUM_THREADS="1", PYTHONIOENCODING="utf-8:strict")
    Path("in/empty.png").touch()
    words = ["defectdistill", "predict", "in", "--output", os.fsdecode(b"out\xfc")]
    done = subprocess.run(words, env=utf8, capture_output=True)
    assert done.returncode == 1, done.stderr
    assert rb"page out\udcfc/index.html" in done.stdout
    words = "passed over: 8 files not named like images (other kinds 6, .txt 1, no ending 1)"
    assert words in done.stdout.decode()


def test_where_all_are_bad_the_tables_say_so():
    Path("bad").mkdir()
    Path("bad/x.png").write_text("hello")
    assert "0 photographs" in predict("bad", status=1)
    assert Path("predictions", TABLE).read_text().startswith("path,class,confidence,entropy,uncertain,probability/bead")
    assert "Could not be read" in Path("predictions/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "nothing: there is no such file or folder"),
        (["in", "--model", "models/none"], "models/none/model.json is missing"),
        (["in", "--calibration", "none.json"], "none.json is missing"),
        (["empty"], "there is no image in empty; passed over: 1 files not named like images (.txt 1)"),
        (["in", "--output", "models/student/model.json"], "is a file: expected a folder"),
        (["in", "--output", "mine"], "mine/index.html was not written by predict"),
        ([], "Missing argument"),
        (["in", "--ray-address", "lab:6379"], "--ray-address lab:6379 without --ray-workers: say how many"),
        (["in", "--batch-size", "0"], "greater than or equal to 1"),
    ],
)
def test_a_wrong_call_ends_with_status_two_in_words_and_does_nothing(words, message):
    for name in ("empty/x.txt", "mine/index.html"):
        Path(name).parent.mkdir()
        Path(name).write_text("mine")
    said = predict(*words, status=2)
    assert message in " ".join(said.replace("│", " ").split())
    assert "Traceback" not in said
    assert not Path("predictions").exists()
    assert [path.name for path in Path("mine").iterdir()] == ["index.html"]


def test_the_baseline_gets_its_own_temperature_and_threshold():
    predict("in", "--model", "models/baseline", "--output", "out/b")
    summary = read_json(Path("out/b/summary.json"))
    assert (summary["temperature"], summary["threshold"]) == (1, 0.4)


def test_pixels_above_the_limit_are_refused_by_the_option_s_name():
    predict("in", "--max-pixels", 2500, status=1)
    (row,) = read_table(Path("predictions", REJECTED))
    assert (row["path"], "raise --max-pixels" in row["reason"]) == ("in/two.PNG", True)


def everything(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_a_folder_of_the_user_s_called_unfinished_stays_as_it_is():
    photograph(Path("parts/finished/a.jpg"), 0)
    photograph(Path("parts/unfinished/b.jpg"), 1)
    Path("parts/unfinished/job.json").write_text("{}")
    before = everything("parts")
    predict("parts", "--output", "parts")
    assert before.items() <= everything("parts").items()
    assert len(read_table(Path("parts", TABLE))) == 2
    assert not Path("parts", UNFINISHED).exists()


@pytest.mark.parametrize("foreign", [["b.jpg"], ["b.jpg", JOB], ["deep/b.jpg", JOB, LINES], [LINES]])
def test_where_the_unfinished_run_holds_somebody_else_s_files_nothing_is_touched(foreign):
    for name in foreign:
        path = Path("predictions", UNFINISHED, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    before = everything("predictions")
    said = predict("in", "--restart", status=2)
    assert f"predictions/{UNFINISHED} was not written by predict alone" in said
    assert everything("predictions") == before


def test_what_a_user_puts_beside_the_rows_while_it_runs_is_kept(monkeypatch):
    whole = run.local_score

    def score(assessor, options):
        Path("predictions", UNFINISHED, "mine.txt").write_text("mine")
        return whole(assessor, options)

    monkeypatch.setattr(run, "local_score", score)
    predict("in")
    assert len(read_table(Path("predictions", TABLE))) == 8
    assert [path.name for path in Path("predictions", UNFINISHED).iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("summary", ['{"counts": {}, "images": 3}', "[1]", "none", "\udcff", None])
def test_a_folder_with_a_foreign_summary_is_not_ours(summary):
    for name in ("mine/summary.json", "mine/rejected.csv", "mine/index.html"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(os.fsencode(summary or "mine"))
    if summary is None:
        Path("mine/summary.json").unlink()
        Path("mine/summary.json").mkdir()
    before = everything("mine")
    assert "was not written by predict: give another --output" in predict("in", "--output", "mine", status=2)
    assert everything("mine") == before


def test_a_file_that_appears_beside_an_interrupted_run_is_not_replaced(monkeypatch):
    mend = interrupted(monkeypatch, 1, KeyboardInterrupt())
    predict("in", "--batch-size", 2, status=130)
    mend()
    Path("predictions/index.html").write_text("mine")
    assert "predictions/index.html was not written by predict" in predict("in", "--batch-size", 2, status=2)
    assert Path("predictions/index.html").read_text() == "mine"


@pytest.mark.parametrize("moved", range(len(WRITTEN) + 1))
def test_killed_while_the_files_are_moved_it_goes_on(monkeypatch, moved):
    """Nothing that is there by then is taken for somebody else's."""
    replace, left = os.replace, iter([True] * moved)

    def some(source, target):
        if Path(source).parent.name == UNFINISHED and Path(target).parent.name != UNFINISHED and not next(left, False):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", some)
        predict("in", status=0 if moved == len(WRITTEN) else 130)
    went_on = "went on from an interrupted run, which had done 8" in predict("in")
    assert went_on == (moved < len(WRITTEN))  # nothing is scored anew
    assert contents().keys() == set(WRITTEN)
    assert len(read_table(Path("predictions", TABLE))) == 8


def test_output_inside_of_the_input_and_again():
    predict(".", "--output", "in/a/predictions")
    first = contents("in/a/predictions")
    photograph(Path("in/new.png"), 9)
    predict(".", "--output", "in/a/predictions", "--no-sheet")  # a run that ended is replaced, its page too
    assert contents("in/a/predictions").keys() == first.keys() - {"index.html"}
    assert len(read_table(Path("in/a/predictions", TABLE))) == 9


def interrupted(monkeypatch, after, error):
    """Let the run be stopped behind so many batches."""

    def score(assessor, options):
        original = whole(assessor, options)

        def some(found):
            yield from itertools.islice(original(found), after)
            raise error

        return some

    whole = run.local_score
    monkeypatch.setattr(run, "local_score", score)
    return lambda: monkeypatch.setattr(run, "local_score", whole)


def test_an_interrupted_run_goes_on_and_gives_the_same_tables(monkeypatch):
    Path("in/empty.png").touch()
    predict("in", "--batch-size", 2, status=1)
    expected = contents()
    mend = interrupted(monkeypatch, 2, KeyboardInterrupt())
    said = predict("in", "--batch-size", 2, status=130)
    assert "the same command goes on" in said
    assert all(Path("predictions", name).read_bytes() == content for name, content in expected.items())  # still whole
    assert len(Path("predictions", UNFINISHED, LINES).read_text().splitlines()) == 3
    mend()
    assert "went on from an interrupted run, which had done 4" in predict("in", "--batch-size", 2, status=1)
    assert contents() == expected


@pytest.mark.parametrize("error", [RuntimeError("torn"), ValueError("torn"), MemoryError("torn")])
def test_what_nobody_foresaw_has_a_traceback_and_status_two_and_the_same_command_goes_on(monkeypatch, error):
    mend = interrupted(monkeypatch, 2, error)
    said = predict("in", "--batch-size", 2, status=2)
    assert "Traceback" in said
    assert f"{type(error).__name__}: torn" in said
    assert said.splitlines()[-1] == "defectdistill: predict did not finish; run the same command again to go on"
    mend()
    assert "went on from an interrupted run, which had done 4" in predict("in", "--batch-size", 2)


def test_rows_of_another_run_are_not_mixed_in_nor_dropped_without_a_word(monkeypatch):
    mend = interrupted(monkeypatch, 1, KeyboardInterrupt())
    predict("in", "--batch-size", 2, status=130)
    rows = Path("predictions", UNFINISHED, LINES).read_bytes()
    mend()
    for words in (["in/a"], ["in", "--model", "models/baseline"], ["in", "--max-pixels", 9999]):
        assert "--restart to drop them" in predict(*words, status=2)
        assert Path("predictions", UNFINISHED, LINES).read_bytes() == rows
    predict("in/a", "--restart")
    assert len(read_table(Path("predictions", TABLE))) == 3


def test_an_interrupted_run_without_a_row_is_in_nobody_s_way(monkeypatch):
    mend = interrupted(monkeypatch, 0, KeyboardInterrupt())
    predict("in", status=130)
    mend()
    predict("in/a")


def test_two_at_once_do_not_write_into_one_folder(monkeypatch):
    seen = []

    def score(assessor, options):
        seen.append(predict("in", status=2))
        return whole(assessor, options)

    whole = run.local_score
    monkeypatch.setattr(run, "local_score", score)
    predict("in")
    assert "another process writes into predictions" in seen[0]


def test_killed_in_the_middle_it_goes_on_to_the_same_tables(there):
    """A real process, and SIGKILL."""
    for number in range(600):
        photograph(there / f"many/{number:03d}.bmp", number, SIDE, SIDE)
    command = "defectdistill predict many --batch-size 1 --no-sheet --workers 1"
    process = subprocess.Popen(command.split(), env=environment(OMP_NUM_THREADS="1"), stdout=subprocess.DEVNULL)
    lines = Path("predictions", UNFINISHED, LINES)
    begin = time.monotonic()
    while not (lines.exists() and lines.stat().st_size > 500):
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() - begin < 120
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = lines.read_bytes().count(b"\n")
    assert 0 < done < 600
    said = predict("many", "--batch-size", 1, "--no-sheet")
    assert f"which had done {done}" in said
    killed = contents()
    predict("many", "--batch-size", 1, "--no-sheet")
    assert contents() == killed
    assert not os.path.exists(".dvc")  # it may be run anywhere
