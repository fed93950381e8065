"""The registry on a folder that looks like a finished run, in a real store; one store for all tests, a name each."""

import itertools
import json
import shutil
import socket
import time

import pytest
from mlflow import MlflowClient
from registry_project import (
    entries_of,
    evaluate,
    make_data,
    write_lock,
    write_params,
    write_side,
    write_student,
    write_unlabelled,
)
from repository import run

from defectdistill import checkpoint
from defectdistill.params import load_params
from defectdistill.registry import register as registry

NAMES = (f"model-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    (folder / ".gitignore").write_text("/data\n/models\n/metrics\n/mlflow.db*\n/mlartifacts\n/.dvc\n")
    return folder


@pytest.fixture
def project(root, monkeypatch):
    """A finished run of the student that says `dent & dust`, right on 2 of the 7 test photographs; committed."""
    for name in ("data", "models", "metrics"):
        shutil.rmtree(root / name, ignore_errors=True)
    make_data(root)
    write_params(root, name=next(NAMES))
    write_student(root, favourite=1)
    evaluate(root)
    run("git init -q; git config user.name t; git config user.email t@example.com", root)
    run("git add -A; git commit -qm state --allow-empty", root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return root


def register(folder):
    return "\n".join(registry.register(load_params(folder / "params.yaml")))


def put(folder, favourite, **keywords):
    """Replace the student by another one that has been evaluated."""
    write_student(folder, favourite, **keywords)
    evaluate(folder)


def client(folder):
    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def name_of(folder):
    return load_params(folder / "params.yaml").registry.name


def aliases(folder):
    return {
        alias: int(version) for alias, version in client(folder).get_registered_model(name_of(folder)).aliases.items()
    }


def tags(folder, version):
    return client(folder).get_model_version(name_of(folder), str(version)).tags


def test_the_first_one_is_challenger_and_champion_with_its_evidence(project):
    output = register(project)
    assert f"registered {name_of(project)} version 1" in output
    assert "there was no champion" in output
    assert aliases(project) == {"challenger": 1, "champion": 1}
    found = tags(project, 1)
    assert found["content_hash"] == checkpoint.content_hash(project / "models/student")
    assert (found["metric"], float(found["score"]), found["test_images"]) == ("test/accuracy", 2 / 7, "7")
    assert (found["distill.beta"], found["prepare.image_size"]) == ("0.5", "64")
    assert found["git.commit"] == run("git rev-parse HEAD", project).strip()
    assert found["git.dirty"] == "false"
    assert len(found["test_split"]) == 64


def test_the_very_same_model_makes_no_second_version(project):
    register(project)
    output = register(project)
    assert "is this very model: no second one was made" in output
    assert "is the champion already" in output
    assert len(client(project).search_model_versions(f"name = '{name_of(project)}'")) == 1


def test_an_old_model_that_is_registered_again_challenges_again(project):
    register(project)
    put(project, 0)
    register(project)
    put(project, 1)
    assert "version 1 is this very model" in register(project)
    assert aliases(project) == {"challenger": 1, "champion": 2}


@pytest.mark.parametrize(
    ("favourite", "min_gain", "champion"),
    [
        (0, 0.0, 2),  # 4/7 against 2/7
        (0, 0.285, 2),
        (0, 0.286, 1),  # more than the gain
        (2, 0.0, 1),  # 1/7
    ],
)
def test_a_challenger_must_be_better_by_more_than_the_least_gain(project, favourite, min_gain, champion):
    register(project)
    write_params(project, name=name_of(project), min_gain=min_gain)
    put(project, favourite)
    output = register(project)
    assert aliases(project) == {"challenger": 2, "champion": champion}
    assert f"champion is version {champion}" in output
    assert "against the champion's 0.2857" in output
    assert "7 photographs (the same test split), each worth 14.3 points" in output
    assert tags(project, 2)["decision"] in output


def test_as_good_is_not_better(project):
    register(project)
    put(project, 1, certainty=21.0)
    assert "+0.0000" in register(project)
    assert aliases(project) == {"challenger": 2, "champion": 1}


def test_the_params_are_those_that_ran_and_not_those_that_stand_in_the_file(project):
    evaluate(project, distill={"beta": 0.25})
    assert load_params(project / "params.yaml").distill.beta == 0.5
    register(project)
    assert tags(project, 1)["distill.beta"] == "0.25"


def test_a_changed_work_tree_is_noted_and_a_new_lock_file_is_not(project):
    write_lock(project, {"distill": {"beta": 0.1}})
    register(project)
    assert tags(project, 1)["git.dirty"] == "false"
    put(project, 0)
    (project / "new.py").write_text("")
    register(project)
    (project / "new.py").unlink()
    assert tags(project, 2)["git.dirty"] == "true"


def test_the_model_stands_on_the_page_of_the_run_that_scored_it(project):
    store = client(project)
    register(project)  # creates the store
    experiment = store.get_experiment_by_name("defectdistill").experiment_id
    scored = store.create_run(experiment, tags={"defectdistill.run": "the-key"})
    store.set_terminated(scored.info.run_id)
    ended = store.get_run(scored.info.run_id).info.end_time
    (project / "metrics/runs/evaluate.json").write_text(json.dumps({"run": "the-key"}))
    put(project, 0)
    register(project)
    version = store.get_model_version(name_of(project), "2")
    assert (version.run_id, version.tags["evaluate.run"]) == (scored.info.run_id, "the-key")
    (linked,) = store.get_run(scored.info.run_id).outputs.model_outputs
    assert version.source == f"models:/{linked.model_id}"
    assert store.get_run(scored.info.run_id).info.end_time == ended
    assert store.get_logged_model(linked.model_id).status == "READY"


def test_a_run_of_another_store_is_a_tag_and_no_link(project):
    (project / "metrics/runs/evaluate.json").write_text(json.dumps({"run": "0" * 32}))
    register(project)
    version = client(project).get_model_version(name_of(project), "1")
    assert (version.run_id or "", version.tags["evaluate.run"]) == ("", "0" * 32)


def more_tests(folder, entries):
    """Move training photographs into the test split."""
    moved = {name for name, *_ in entries}
    write_side(folder, "train", [entry for entry in entries_of(folder, "train") if entry[0] not in moved])
    write_side(folder, "test", entries_of(folder, "test") + entries)


def test_another_test_split_scores_both_on_what_the_champion_has_not_learned_from(project):
    register(project)
    before = tags(project, 1)["test_split"]
    more_tests(project, entries_of(project, "train")[:3])  # cracks
    put(project, 0)
    output = register(project)
    assert tags(project, 2)["test_split"] != before
    assert float(tags(project, 2)["score"]) == 7 / 10
    # not 7/10 against 2/10: the three added photographs are among the champion's training photographs
    assert "0.5714 against the champion's 0.2857" in output
    assert "7 photographs (measured again on those of 10 that the champion was not trained on)" in output
    assert aliases(project)["champion"] == 2


def test_photographs_that_the_champion_saw_without_a_label_do_not_count_either(project):
    cracks = entries_of(project, "train")[:3]
    write_side(project, "train", entries_of(project, "train")[3:])
    shown = [(name, group, "") for name, _, group in cracks[:2]]
    write_unlabelled(project, [*shown, (cracks[2][0], cracks[2][2], "test")])  # the third was held out
    register(project)
    write_unlabelled(project, [])
    write_side(project, "test", entries_of(project, "test") + cracks)
    put(project, 0)
    assert "8 photographs (measured again on those of 10 that the champion was not trained on)" in register(project)


def test_another_image_size_is_the_same_examination(project):
    register(project)
    write_side(project, "test", entries_of(project, "test"), size=32)
    put(project, 0, size=32)
    assert "0.5714 against the champion's 0.2857" in (output := register(project))
    assert "7 photographs (the same test split)" in output


def test_another_class_for_a_photograph_is_another_examination(project):
    register(project)
    first, *others = entries_of(project, "test")
    write_side(project, "test", [(first[0], 1, first[2]), *others])
    put(project, 0)
    # now 3 cracks and 3 dents of 7
    assert "0.4286 against the champion's 0.4286" in (output := register(project))
    assert "measured again" in output


def test_another_metric_scores_both_again(project):
    register(project)
    write_params(project, name=name_of(project), metric="test/recall/crack")
    put(project, 0)
    assert "test/recall/crack 1.0000 against the champion's 0.0000" in register(project)
    assert aliases(project)["champion"] == 2


def test_a_champion_that_learned_from_a_whole_class_of_the_test_split_is_not_compared(project):
    register(project)
    train = entries_of(project, "train")
    flames = [entry for entry in train if entry[1] == 2]
    write_side(project, "train", [entry for entry in train if entry[1] != 2])
    write_side(project, "test", [entry for entry in entries_of(project, "test") if entry[1] != 2] + flames)
    put(project, 0)
    output = register(project)
    assert "trained on 2 of the 8 present test photographs, all of flame among them" in output
    assert "move the alias" in output
    assert aliases(project) == {"challenger": 2, "champion": 1}


def test_photographs_of_an_object_that_the_champion_knows_do_not_count(project):
    train, test = entries_of(project, "train"), entries_of(project, "test")
    write_side(project, "train", [(train[0][0], train[0][1], "tile 7"), *train[1:]])
    register(project)
    write_side(project, "test", [(test[0][0], test[0][1], "tile 7"), *test[1:-1], test[-1], train[1]])
    put(project, 0)
    # 8 photographs: without train[1], on which it was trained, and without tile 7
    assert "6 photographs (measured again on those of 8" in register(project)


@pytest.mark.parametrize("damage", ["classes", "files"])
def test_a_champion_that_cannot_be_scored_stays_and_it_is_said_why(project, damage):
    if damage == "classes":
        write_side(project, "test", entries_of(project, "test"))
        register(project)
        renamed = ["crack", "dent", "flame"]
        (project / "data/prepared/summary.json").write_text(json.dumps({"classes": renamed, "divided": "grouped"}))
        write_student(project, 0, classes=renamed)
        results = json.loads((project / "metrics/evaluate.json").read_text())
        measured = registry.read_photographs(registry.PREPARED, registry.RAW, ("test",)).scores(registry.MODEL)
        results["student"]["test"] = measured
        (project / "metrics/evaluate.json").write_text(json.dumps(results))
        write_lock(project, {})
        reason = "knows the classes ['crack', 'dent & dust', 'flame']"
    else:
        register(project)
        source = client(project).get_model_version(name_of(project), "1").source
        shutil.rmtree(project / "mlartifacts/models" / source.removeprefix("models:/"))
        more_tests(project, entries_of(project, "train")[:1])
        put(project, 0)
        reason = "cannot be scored on the present test split"
    assert reason in register(project)
    assert aliases(project) == {"challenger": 2, "champion": 1}


def without(path):
    return lambda folder: (folder / path).unlink()


def scored_for_another(folder):
    write_student(folder, 2)


def edited(folder):
    file = folder / "metrics/evaluate.json"
    file.write_text(file.read_text().replace('"accuracy": 0.2857', '"accuracy": 0.9857'))


def edited_with_its_lock(folder):
    edited(folder)
    write_lock(folder, {})


def divided_at_random(folder):
    file = folder / "data/prepared/summary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"divided": "random"}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (divided_at_random, r"prepare\.protocol = 'random': .* the score would flatter"),
        (without("models/student/model.json"), r"model\.json is missing"),
        (without("models/student/weights.safetensors"), r"models/student.* not found"),
        (without("metrics/evaluate.json"), r"metrics/evaluate\.json is missing: run `dvc repro`"),
        (without("dvc.lock"), r"dvc\.lock is missing"),
        (without("data/raw/index.csv"), r"data/raw/index\.csv is missing"),
        (without("data/raw/images/00012.png"), r"1 photographs of data/prepared are not in data/raw"),
        (without("constraints.txt"), r"constraints\.txt is missing"),
        (scored_for_another, r"evaluate\.json does not belong to models/student .*test/loss = .*run `dvc repro`"),
        (edited, r"is not the file that dvc\.lock names"),
        (edited_with_its_lock, r"it says test/accuracy = 0\.98\d+, measured now are 0\.285714"),
        (lambda folder: write_params(folder, metric="test/recall/rust"), r"'test/recall/rust': .* has test/… accuracy"),
    ],
)
def test_what_does_not_belong_together_is_refused(project, spoil, message):
    spoil(project)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        register(project)


def test_a_model_that_could_not_be_stored_makes_no_version(project):
    (project / "constraints.txt").write_text("torch==1.0\n")
    with pytest.raises(ValueError, match=r"no exact version of mlflow, numpy, .*which serving needs"):
        register(project)
    assert not client(project).search_registered_models(f"name = '{name_of(project)}'")


def test_a_dead_server_ends_in_one_line_without_its_password(project, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    address = f"http://someone:secret@127.0.0.1:{port}"
    start = time.monotonic()
    output = run("defectdistill register", project, fails=True, MLFLOW_TRACKING_URI=address)
    assert time.monotonic() - start < 60
    assert f"defectdistill: the MLflow store at http://127.0.0.1:{port} does not answer" in output
    assert "Traceback" not in output
    assert "secret" not in output
