"""The real pipeline on tiny generated data: real dvc, real stages in processes of their own, real MLflow store."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from declare import needed, resolved
from repository import (
    PROJECT,
    STAGES,
    TINY,
    YAML_12,
    are_complete,
    executed,
    kill_in,
    make_repository,
    outputs,
    run,
    run_queue,
    runs,
    set_params,
    store,
)

from defectdistill.assess import Assessor
from defectdistill.checkpoint import content_hash
from defectdistill.data.images import decode_image

# Modules that cannot change a result, and packages' empty files: no dependencies.
LEFT_OUT = {"__init__.py", "params.py", *(f"{name}sections.py" for name in ("", "ingest_", "model_", "distill_"))}

# What a stage imports under another protocol, or of another kind of teacher, alone.
OF_A_CLASSIFIER = {
    f"src/defectdistill/{name}.py"
    for name in ("distillation/frozen_classifier", "models/sarsn", "models/small_cnn", "models/students")
}
ONLY_THEN = {
    "prepare": {"src/defectdistill/data/augment.py"},
    "freeze": OF_A_CLASSIFIER,
    "distill": {"src/defectdistill/distillation/frozen_classifier.py"},
}

# A command as somebody whom permissions bind: root, in a container for instance, may write anywhere.
POWERS = "-dac_override,-dac_read_search"
AS_ANYBODY = f"setpriv --bounding-set={POWERS} --inh-caps={POWERS}" if os.geteuid() == 0 else ""

# Runs at the start of every Python process of the pipeline: notes what a stage has imported when it ends.
RECORDER = """
import atexit, json, os, sys
def note():
    folder, stage = os.environ.get("IMPORT_LOG"), os.environ.get("DVC_STAGE")
    if folder and stage and "stages" in sys.argv[0]:
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        with open(os.path.join(folder, stage + ".json"), "w") as file:
            json.dump(sorted(name for name in files if name), file)
atexit.register(note)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A repository after one `dvc repro`, what that printed, and what each stage imported."""
    folder = make_repository(tmp_path_factory.mktemp("tiny") / "repository", TINY)
    imports = tmp_path_factory.mktemp("imports")
    (imports / "sitecustomize.py").write_text(RECORDER)
    output = run("dvc repro", folder, PYTHONPATH=str(imports), IMPORT_LOG=str(imports))
    return folder, output, imports


def link(folder: Path, stage: str) -> str:
    """Return the MLflow id of the run that a stage's outputs come from."""
    key = json.loads((folder / f"metrics/runs/{stage}.json").read_text())["run"]
    experiment = "defectdistill" if stage == "evaluate" else "defectdistill-stages"
    (found,) = [run for run in runs(folder, experiment) if run.data.tags["defectdistill.run"] == key]
    return found.info.run_id


def test_from_nothing_to_the_report(ran):
    folder, output, _ = ran
    assert executed(output) == STAGES
    report = (folder / "metrics/report.html").read_text()
    assert "SYNTHETIC" in report.upper()
    assert "macro-F1 on the test split: student " in output
    assert f"What that is worth: {folder / 'metrics/report.html'}" in output
    results = json.loads((folder / "metrics/evaluate.json").read_text())
    assert 0 <= results["student"]["test"]["macro_f1"] <= 1
    assert {"dice", "iou"} <= set(results["teacher"])
    assert results["student"]["unlabelled"]["images"] == 3
    assert set(results["student"]["intervals"]) >= {"test", "selective", "attention", "unlabelled"}
    assert set(json.loads((folder / "metrics/calibration.json").read_text())) == {"student", "baseline"}
    for picture in ("prepare/contact_sheet.png", "augment/contact_sheet.png", "teacher/masks.png"):
        assert cv2.imread(str(folder / "metrics" / picture)) is not None


@pytest.mark.parametrize("stage", ["teacher", "distill"])
def test_two_processes_train_as_one(ran, tmp_path, stage):
    folder = tmp_path / "together"
    shutil.copytree(ran[0], folder)
    history = folder / f"metrics/{stage}/history.csv"
    alone = np.genfromtxt(history, delimiter=",", names=True)
    history.unlink()
    before = len(runs(folder, "defectdistill-stages"))
    script = "distill.py distill" if stage == "distill" else "teacher.py"
    output = run(f"torchrun --standalone --nproc-per-node 2 stages/{script}", folder)
    assert "2 processes" in output
    together = np.genfromtxt(history, delimiter=",", names=True)
    assert together.dtype.names == alone.dtype.names
    for name in alone.dtype.names:
        np.testing.assert_allclose(together[name], alone[name], rtol=2e-3, atol=2e-3, err_msg=name)
    assert len(runs(folder, "defectdistill-stages")) == before + 1  # one process tracks


def test_the_exported_file_answers_in_a_program_that_knows_nothing_of_this_project(ran):
    folder = ran[0]
    found = json.loads((folder / "models/onnx/parity.json").read_text())
    assert found == json.loads((folder / "metrics/export.json").read_text())
    for runtime in ("onnxruntime", "openvino"):
        assert found["fp32"]["test"][runtime]["class_agreement"] == 1.0
        assert found["fp32"]["test"][runtime]["largest_difference"] < 1e-4
    photographs = sorted((folder / "data/raw/images").rglob("*.png"))[:2]
    names = " ".join(f"'{path}'" for path in photographs)
    lines = run(f"python -I models/onnx/example.py models/onnx/student.onnx {names}", folder).splitlines()
    assessor = Assessor.load(folder / "models/student", folder / "metrics/calibration.json")
    told = assessor([decode_image(path.read_bytes()) for path in photographs])
    for line, path, name, sure, doubt in zip(
        lines, photographs, told.classes, told.confidence, told.uncertain, strict=True
    ):
        assert line.startswith(f"{path}: {name} ")
        assert line.endswith(", ask a person") == doubt
        assert float(line.removesuffix(", ask a person").split()[-1]) == pytest.approx(sure, abs=2e-3)
    card = (folder / "models/onnx/model_card.md").read_text()
    assert content_hash(folder / "models/student") in card
    assert hashlib.sha256((folder / "models/onnx/student.onnx").read_bytes()).hexdigest() in card


def test_git_sees_nothing_but_the_lock_file(ran):
    assert run("git status --porcelain", ran[0]).split() == ["??", "dvc.lock"]


def test_a_second_repro_executes_nothing(ran):
    assert executed(run("dvc repro", ran[0])) == []


def test_pipelines_that_nobody_ran_do_not_trouble_the_roots_commands(ran):
    assert "up to date" in run("dvc status", ran[0])
    run("dvc checkout", ran[0])


def test_every_module_that_a_stage_imports_is_declared(ran):
    folder, _, imports = ran
    stages = YAML_12.load(folder / "dvc.yaml")["stages"]
    params = YAML_12.load(folder / "params.yaml")
    for stage in STAGES:
        files = [Path(name) for name in json.loads((imports / f"{stage}.json").read_text())]
        inside = {str(path.relative_to(folder)) for path in files if path.is_relative_to(folder)}
        imported = {name for name in inside if Path(name).name not in LEFT_OUT and "tracking" not in Path(name).parts}
        names = (
            *(("ingest", "source"), ("augment", "synthesizer"), ("teacher", "network")),
            *(("student", "task"), ("distill", "method")),
        )
        values = {f"${{{section}.{key}}}": params[section][key] for section, key in names}
        declared = [str(name) for name in stages[stage]["deps"]]
        for name, value in values.items():
            declared = [entry.replace(name, value) for entry in declared]
        folders = tuple(f"{name}/" for name in declared if (folder / name).is_dir())
        modules = {name for name in declared if name.endswith(".py")}
        assert {name for name in imported if not name.startswith(folders)} - modules == set(), stage
        # Nothing else but what other names in params.yaml would import.
        chosen = {resolved(name, params) for name in needed(stages[stage]["cmd"], params)} - ONLY_THEN.get(stage, set())
        assert {name for name in chosen if name.endswith(".py")} - imported == set(), stage


def test_stages_run_their_own_checkout_and_not_the_installed_package(ran):
    files = json.loads((ran[2] / "distill.json").read_text())
    assert not [name for name in files if name.startswith(str(PROJECT / "src"))]


def test_killed_twice_it_ends_in_the_same_bytes(ran, tmp_path):
    """Only dvc is killed while the teacher trains, then everything while the student does; each time it goes on."""
    again = make_repository(tmp_path / "again", TINY)
    kill_in(again, "teacher", only_dvc=True)
    kill_in(again, "distill", only_dvc=False)  # at once: the orphan of the first kill must not be in the way
    assert executed(run("dvc repro", again)) == ["distill", "evaluate", "export"]
    first, second = outputs(ran[0]), outputs(again)
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []
    assert len(first) > 60
    found = runs(again, "defectdistill-stages") + runs(again)
    assert {entry.info.status for entry in found} == {"FINISHED"}
    assert sorted(entry.data.tags["stage"] for entry in found) == sorted(set(STAGES) - {"check"})
    for entry in found:
        if entry.data.tags["stage"] in ("teacher", "distill"):
            steps = [metric.step for metric in store(again).get_metric_history(entry.info.run_id, "val_loss")]
            assert steps == [0, 1]
    assert not list((again / ".dvc/tmp/defectdistill/trainings").rglob("*.ckpt"))
    assert not list((again / ".dvc/tmp/defectdistill/tracking").iterdir())


def test_a_full_disk_is_named_and_costs_nothing_else(ran, tmp_path):
    """The limit on a file's size stands for the disk: the system refuses the same calls in the same way."""
    folder = tmp_path / "full"
    shutil.copytree(ran[0], folder)
    before = outputs(folder)
    set_params(folder, {"augment.copies": 40})  # 5 MB: dvc's own files stay below the limit
    output = run("trap '' XFSZ; ulimit -f 3000; dvc repro", folder, fails=True)
    assert "augment: data/augmented/images.npy cannot be written or read: File too large" in output
    assert "Traceback" not in output
    run("git checkout -q params.yaml", folder)
    assert executed(run("dvc repro", folder)) in ([], ["check"])
    assert outputs(folder) == before


@pytest.mark.parametrize("stage", ["prepare", "teacher", "freeze", "evaluate", "export"])
def test_whoever_writes_says_that_the_disk_is_full(ran, tmp_path, stage):
    """Arrays, checkpoints of a training, weights, pictures: each is written by other code."""
    folder = tmp_path / "full"
    shutil.copytree(ran[0], folder)
    output = run(f"trap '' XFSZ; ulimit -f 16; python stages/{stage}.py", folder, fails=True, DVC_ROOT=str(folder))
    assert f"{stage}: " in output
    assert "cannot be written or read: File too large" in output
    assert "Traceback" not in output


def test_a_folder_that_may_not_be_written_to_is_named_and_costs_nothing(ran, tmp_path):
    folder = tmp_path / "read-only"
    shutil.copytree(ran[0], folder)
    before = outputs(folder)
    for path in (folder / "data", folder / "data/prepared"):
        path.chmod(0o555)
    held = f"{AS_ANYBODY} python stages/prepare.py"
    assert "prepare: data/prepared cannot be written or read: Permission denied" in run(held, folder, fails=True)
    set_params(folder, {"prepare.seed": 3})
    assert f"Permission denied: '{folder}/data/" in run(f"{AS_ANYBODY} dvc repro", folder, fails=True)
    for path in (folder / "data", folder / "data/prepared"):
        path.chmod(0o755)
    run("git checkout -q params.yaml", folder)
    run("dvc repro", folder)
    assert outputs(folder) == before


def test_mlflow_holds_a_run_a_stage_and_one_complete_run(ran):
    folder = ran[0]
    stages = {run.data.tags["stage"]: run for run in runs(folder, "defectdistill-stages")}
    assert set(stages) == set(STAGES) - {"check", "evaluate"}
    complete = store(folder).get_run(link(folder, "evaluate"))
    assert all(entry.info.status == "FINISHED" for entry in [*stages.values(), complete])
    assert complete.info.run_name == "workspace"
    assert complete.data.params["distill.beta"] == "0.5"
    assert complete.data.params["ingest.synthetic.flame"] == "6"
    results = json.loads((folder / "metrics/evaluate.json").read_text())
    assert complete.data.metrics["test/macro_f1"] == results["student"]["test"]["macro_f1"]
    assert complete.data.metrics["baseline/test/macro_f1"] == results["baseline"]["test"]["macro_f1"]
    for stage, entry in stages.items():
        if stage != "export":  # which needs what evaluate found, and comes after it
            assert complete.data.tags[f"stage/{stage}"] == entry.info.run_id
    epochs = store(folder).get_metric_history(stages["distill"].info.run_id, "val_loss")
    assert [metric.step for metric in epochs] == [0, 1]
    artifacts = {item.path for item in store(folder).list_artifacts(complete.info.run_id)}
    assert {"report.html", "figures", "plots", "evaluate.json"} <= artifacts


def test_the_student_of_a_real_run_is_registered_with_what_ran(ran):
    folder = ran[0]
    output = run("defectdistill register", folder)
    assert "registered defectdistill version 1" in output
    version = store(folder).get_model_version_by_alias("defectdistill", "champion")
    results = json.loads((folder / "metrics/evaluate.json").read_text())
    assert float(version.tags["score"]) == results["student"]["test"]["macro_f1"]
    assert version.tags["distill.beta"] == "0.5"
    assert version.run_id == link(folder, "evaluate")
    assert Path(
        store(folder)
        .get_logged_model(version.source.removeprefix("models:/"))
        .artifact_location.removeprefix("file://")
    ).is_relative_to(folder / "mlartifacts")


def test_lineage_names_data_teacher_code_and_params_and_the_way_back(ran):
    folder = ran[0]
    student, teacher = (content_hash(folder / f"models/{name}") for name in ("student", "teacher"))
    data = json.loads((folder / "data/prepared/summary.json").read_text())["sha256"]
    commit = run("git rev-parse HEAD", folder).strip()
    told = run("defectdistill lineage models/student", folder)
    for fact in (student, teacher, data, commit, link(folder, "distill"), link(folder, "teacher"), "distill.beta=0.5"):
        assert fact in told
    assert "teacher.width=2" in told
    assert "code      commit" in told
    assert ", unchanged" in told
    assert f"used in   workspace (MLflow run {link(folder, 'evaluate')})" in told
    assert f"student sha256 {student}" in run("defectdistill lineage models/teacher", folder)
    complete = store(folder).get_run(link(folder, "evaluate")).data.tags
    photographs = json.loads((folder / "data/prepared/test/photographs.json").read_text())["sha256"]
    assert (complete["raw/sha256"], complete["data/sha256"]) == (photographs, data)
    (entry,) = store(folder).get_run(link(folder, "distill")).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("synthetic", data[:36])


def test_a_model_that_nobody_here_made_has_no_lineage(ran, tmp_path):
    shutil.copytree(ran[0] / "models/student", tmp_path / "student")
    config = tmp_path / "student/model.json"
    config.write_text(config.read_text() + " ")
    output = run(f"defectdistill lineage {tmp_path}/student", ran[0], fails=True)
    assert "made these weights" in output
    assert "Traceback" not in output


def test_another_beta_runs_what_follows_distill_alone(ran):
    folder = ran[0]
    teacher = link(folder, "teacher")
    output = run("dvc exp run --name other-beta -S distill.beta=0.3", folder)
    assert executed(output) == ["check", "distill", "evaluate", "export"]
    last = runs(folder)[-1]
    assert (last.info.run_name, last.data.params["distill.beta"]) == ("other-beta", "0.3")
    assert last.data.tags["stage/teacher"] == teacher  # the cached stage is linked to the run that made it
    assert last.data.tags["stage/distill"] == link(folder, "distill")


def test_back_at_the_old_beta_everything_comes_from_the_cache(ran):
    folder = ran[0]
    assert link(folder, "evaluate") == runs(folder)[-1].info.run_id
    output = run("dvc exp run --name back -S distill.beta=0.5", folder)
    assert executed(output) in ([], ["check"])
    assert runs(folder)[-1].info.run_name == "other-beta"  # no run for what was not run
    results = json.loads((folder / "metrics/evaluate.json").read_text())
    first = next(entry for entry in runs(folder) if entry.info.run_name == "workspace")
    assert results["student"]["test"]["macro_f1"] == first.data.metrics["test/macro_f1"]
    assert link(folder, "evaluate") == first.info.run_id


def test_queued_experiments_train_a_shared_teacher_once_with_the_code_they_were_queued_with(ran):
    folder = ran[0]
    betas = {"queued-a": "0.11", "queued-b": "0.12"}
    for name, beta in betas.items():
        run(f"dvc exp run --queue --name {name} -S teacher.lr=0.002 -S distill.beta={beta}", folder)
    (folder / "src/defectdistill/training/segmentation_teacher.py").write_text(
        "raise RuntimeError('edited meanwhile')\n"
    )
    try:
        run_queue(folder, 2)
    finally:
        run("git checkout -q src", folder)
    assert are_complete(folder, betas)
    shared = [entry for entry in runs(folder, "defectdistill-stages") if entry.data.params.get("teacher.lr") == "0.002"]
    assert [entry.data.tags["stage"] for entry in shared] == ["teacher"]
    assert shared[0].info.status == "FINISHED"
    rows = [entry for entry in runs(folder) if entry.info.run_name in betas]
    assert {entry.data.tags["stage/teacher"] for entry in rows} == {shared[0].info.run_id}


def test_a_wrong_value_stops_before_anything_runs(ran):
    output = run("dvc exp run -S distill.beta=-1", ran[0], fails=True)
    assert "distill.beta = -1" in output
    assert "Traceback" not in output
    assert executed(output) == ["check"]
    run("git checkout -q params.yaml", ran[0])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("student.arch", "vit_b_16", "no feature level of stride"),
        ("student.weights", "nowhere.safetensors", "'nowhere.safetensors' not found"),
        ("teacher.encoder", "tu-typo", "teacher.encoder = 'tu-typo' cannot be built"),
    ],
)
def test_the_first_stage_refuses_what_no_training_could_use(ran, key, value, message):
    set_params(ran[0], {key: value})
    output = run("python stages/check.py", ran[0], fails=True, DVC_ROOT=str(ran[0]))
    run("git checkout -q params.yaml", ran[0])
    assert message in output
    assert "Traceback" not in output
