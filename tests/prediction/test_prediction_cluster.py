"""Workers of a cluster give the rows of one process."""

import builtins
import json
import time
from pathlib import Path

import numpy as np
import pytest
from prediction_cases import mixed, photograph, write_model
from typer.testing import CliRunner

from defectdistill.cli import app
from defectdistill.prediction.cluster import Worker
from defectdistill.prediction.find import find
from defectdistill.prediction.options import Options
from defectdistill.prediction.output import UNFINISHED
from defectdistill.prediction.run import load_assessor, local_score
from defectdistill.prediction.tables import LINES


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path)
    mixed(tmp_path / "in")
    Path("in/empty.png").touch()
    return tmp_path


def predict(*words):
    done = CliRunner().invoke(app, ["predict", *map(str, words)])
    return done.exit_code, done.output


def test_a_worker_answers_as_one_process_does():
    """Without Ray: what a worker makes of its columns."""
    assessor = load_assessor(Path("models/student"), Path("metrics/calibration.json"), 4)
    expected = list(local_score(assessor, Options(batch_size=4))(find([Path("in")])))
    files = {name: Path("models/student", name).read_bytes() for name in ("model.json", "weights.safetensors")}
    worker = Worker(files, 1.5, 0.5, Options(batch_size=4))
    entries = list(find([Path("in")]))
    columns = {
        "name": np.array([entry.name for entry in entries] + ["link"], object),
        "path": np.array([str(Path(entry.path).resolve()) for entry in entries] + [""], object),
        "reason": np.array([""] * len(entries) + ["leads out"], object),
    }
    answer = worker(columns)
    entries = [json.loads(line) for line in answer["line"]]
    rows = [entry for entry in entries if isinstance(entry, dict)]
    assert rows == [row for part, _ in expected for row in part]
    refused = [entry for entry in entries if isinstance(entry, list)]
    assert refused == [[item.name, item.reason] for _, part in expected for item in part] + [["link", "leads out"]]
    assert answer["seconds"].sum() > 0
    assert len(set(answer["worker"])) == 1


def test_without_ray_the_command_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def refuse(name, *rest):
        if name.startswith("ray"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    status, said = predict("in", "--ray-workers", 2)
    assert status == 2
    assert "uv pip install -e '.[ray]' -c constraints.txt" in said


@pytest.mark.slow
def test_two_workers_give_the_tables_of_one_process(there, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # read when Ray is imported
    data = pytest.importorskip("ray.data", reason="the extra ray is not installed")
    data.DataContext.get_current().wait_for_min_actors_s = 300  # or the first worker may do it all alone
    for number in range(200):
        photograph(there / f"in/many/{number:03d}.png", number)
    assert predict("in", "--output", "one", "--batch-size", 8)[0] == 1
    begin = time.monotonic()
    status, said = predict("in", "--output", "two", "--batch-size", 8, "--ray-workers", 2)
    assert status == 1, said
    assert said.count("a second") == 2  # the throughput of each worker
    print(f"{time.monotonic() - begin:.0f} s with two workers\n{said}")
    one, two = (np.array([list(row["probabilities"].values()) for row in rows(name)]) for name in ("one", "two"))
    np.testing.assert_allclose(two, one, atol=2e-6)
    for key in ("path", "class", "uncertain"):
        assert [row[key] for row in rows("one")] == [row[key] for row in rows("two")]
    assert Path("two/rejected.csv").read_bytes() == Path("one/rejected.csv").read_bytes()
    assert not Path("two", UNFINISHED).exists()


def rows(folder):
    return [json.loads(line) for line in Path(folder, LINES).read_text().splitlines()]
