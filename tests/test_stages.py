"""What re-runs when: every leaf key of params.yaml against what DVC reads in dvc.yaml, and keys of every section
against the stages that a real `dvc repro` executes."""

import ast
import re
from pathlib import Path

import pytest
from declare import as_declared
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from dvc.repo.graph import get_subgraph_of_nodes
from repository import PROJECT, STAGES, YAML_12, environment, make_repository, set_params

from defectdistill.data.tables import flatten
from defectdistill.params import load_params

FROM = {stage: STAGES[STAGES.index(stage) :] for stage in STAGES}
TRAINED = ["teacher", "freeze", "baseline", "distill", "evaluate", "export"]

# Which stages a section's keys must re-run, besides `check`, which reads them all.
DOWNSTREAM = {
    "ingest": FROM["ingest"],
    **{
        f"ingest.{name}": [] for name in ("folder", "severstal", "cifar10", "shapes", "tiles", "strips")
    },  # not in use: the source is synthetic
    "prepare": FROM["prepare"],
    "augment": FROM["augment"],
    "teacher": ["teacher", "freeze", "distill", "evaluate", "export"],
    "freeze": ["freeze", "distill", "evaluate", "export"],
    "student": ["baseline", "distill", "evaluate", "export"],
    "distill": ["distill", "evaluate", "export"],
    "evaluate": ["evaluate", "export"],
    "export": ["export"],
    "registry": [],  # read by `defectdistill register`
    "compute": TRAINED,
    "tracking": [],  # cannot change a result
}
# Another value of the keys for which adding one, or turning a switch, does not do.
OTHER = {
    "ingest.source": "folder",
    "ingest.path": "other",
    "distill.method": "other",
    "teacher.network": "other",
    "augment.synthesizer": "other",
    "student.task": "other",
    "freeze.levels": [8],
    "distill.levels": [8],
    "registry.metric": "test/accuracy",
}

# Stands in for a stage: writes something new into every output, as a stage whose result changed would.
FAKE = """
import sys, uuid
from pathlib import Path
name, *outs = sys.argv[1:]
for path in map(Path, outs):
    if name == "check" or path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("valid" if name == "check" else uuid.uuid4().hex)
        continue
    for part in ("train", "val", "test", "unlabelled"):
        (path / part).mkdir(parents=True, exist_ok=True)
        (path / part / "array").write_text(uuid.uuid4().hex)
    for file in ("summary.json", "learned.json", "contact_sheet.png", "history.csv", "masks.png"):
        (path / file).write_text(uuid.uuid4().hex)
with open("ran.log", "a") as log:
    log.write(name + "\\n")
"""


@pytest.fixture(scope="module")
def fakes(tmp_path_factory):
    """The project's dvc.yaml over stages that only pretend."""
    folder = make_repository(tmp_path_factory.mktemp("fakes"), {})
    text = (folder / "dvc.yaml").read_text()
    text, count = re.subn(r"cmd: python stages/\w+\.py.*", "cmd: FAKE", text)
    assert count == len(STAGES)
    # Modules that no key picks: dvc would read and write a lock file five times as long after every stage.
    text = re.sub(r"\n +- src/[\w/]+\.py(?=\n)", "", text)
    for stage, entry in YAML_12.load(folder / "dvc.yaml")["stages"].items():
        outs = " ".join([*entry["outs"], *entry.get("metrics", [])])
        text = text.replace("cmd: FAKE", f"cmd: python -S fake.py {stage} {outs}", 1)
    (folder / "dvc.yaml").write_text(text)
    (folder / "fake.py").write_text(FAKE)
    (folder / "other").mkdir()
    (folder / "other" / "x.txt").write_text("x")
    for other in (
        "distillation/other.py",
        "training/teachers/other.py",
        "training/synthesizers/other.py",
        "training/tasks/other.py",
        "evaluation/tasks/other.py",
    ):
        (folder / "src/defectdistill" / other).write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environment()["PATH"])
        patch.chdir(folder)  # parameters' files are found from the working directory
        repro(folder)
        yield folder


def repro(folder: Path) -> set[str]:
    """Do what `dvc repro` does, in this process (its start costs more than the rest); return the stages that ran."""
    (folder / "ran.log").write_text("")
    with Repo(str(folder)) as repository:
        repository.reproduce()
    return set((folder / "ran.log").read_text().split())


def other_value(name: str, value):
    """Return a value that differs from `value`."""
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else "other"


KEYS = flatten(YAML_12.load(PROJECT / "params.yaml"))


def expected(name: str) -> set[str]:
    """Return the stages that a key must re-run."""
    section = max((prefix for prefix in DOWNSTREAM if name.startswith(f"{prefix}.")), key=len)
    return {"check", *DOWNSTREAM[section]}


# What is really run: the first key of every section, and all keys that need another value of their own, the paths of
# modules among them (`${ingest.source}`).
FIRST = {
    prefix: next(name for name in KEYS if name.startswith(f"{prefix}.") and name not in OTHER) for prefix in DOWNSTREAM
}


def test_dvc_yaml_has_the_stages_that_this_test_knows():
    assert list(YAML_12.load(PROJECT / "dvc.yaml")["stages"]) == STAGES
    assert {name.split(".")[0] for name in KEYS} == {name.split(".")[0] for name in DOWNSTREAM}


def test_no_key_has_a_name_that_the_run_cache_of_dvc_overlooks():
    """DVC leaves out `size` and `nfiles`, at any depth, from what a cached run is found by: it would bring back a
    run that had another value."""
    assert not {name.split(".")[-1] for name in KEYS} & {"size", "nfiles"}


def test_nothing_changed_executes_nothing(fakes):
    assert repro(fakes) == set()


def test_every_key_lies_above_exactly_what_it_must_re_run(fakes):
    """By DVC's own reading: the stages that list a key, and below them all but what follows `check`, whose output
    never changes."""
    found = {name: set() for name in KEYS}
    with Repo(str(fakes)) as repository:
        for stage in repository.index.stages:
            below = get_subgraph_of_nodes(repository.index.graph, [stage], downstream=True)
            touched = {"check"} if stage.name == "check" else {each.name for each in below}
            for listed in stage.deps:
                if isinstance(listed, ParamsDependency):
                    for name in flatten(listed.read_params()):
                        found[name] |= touched
    wrong = [
        f"{name} re-runs {sorted(found[name])}, expected {sorted(expected(name))}"
        for name in KEYS
        if found[name] != expected(name)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", [name for name in KEYS if name in {*FIRST.values(), *OTHER}])
def test_a_key_re_runs_exactly_what_lies_downstream(fakes, name):
    set_params(fakes, {name: other_value(name, KEYS[name])})
    ran = repro(fakes)
    if name in OTHER:  # put back: later keys are read against the shipped values
        set_params(fakes, {name: KEYS[name]})
        repro(fakes)
    assert ran == expected(name)


def test_a_stage_declares_the_sections_that_it_reads():
    """`params.teacher` in a script, and `teacher` under its stage's params in dvc.yaml, go together."""
    stages = YAML_12.load(PROJECT / "dvc.yaml")["stages"]
    sections = set(load_params(PROJECT / "params.yaml").model_dump())
    for name in set(STAGES) - {"check", "evaluate"}:
        script = PROJECT / "stages" / f"{'distill' if name == 'baseline' else name}.py"
        read = set(re.findall(r"params(?:\(\))?\.(\w+)", script.read_text())) & sections - {"tracking"}
        declared = {str(entry).split(".")[0] for entry in stages[name]["params"]}
        if name == "baseline":
            read.discard("distill")  # under `if stage == "distill"`
        assert read == declared, name


PIPELINES = ["dvc.yaml", *sorted(str(path.relative_to(PROJECT)) for path in PROJECT.glob("pipelines/*/dvc.yaml"))]


@pytest.mark.parametrize("path", PIPELINES)
def test_every_pipeline_declares_what_its_stages_import(path):
    declared = (PROJECT / path).read_text(encoding="utf-8")
    assert as_declared(PROJECT / path) == declared, "run `make declare`"


@pytest.mark.parametrize("path", PIPELINES)
def test_what_a_page_is_made_of_is_declared_too(path):
    """No import shows them: templates are opened by name."""
    templates = {"evaluate.py": "evaluation/pages", "export.py": "export/model_card.md.j2"}
    for stage in YAML_12.load(PROJECT / path)["stages"].values():
        for script, needed in templates.items():
            if script in str(stage["cmd"]):
                assert any(name.endswith(f"src/defectdistill/{needed}") for name in stage["deps"]), stage["cmd"]


def test_stages_and_modules_stay_small():
    for folder, most in (("stages", 60), ("src", 200)):
        for script in (PROJECT / folder).rglob("*.py"):
            assert len(script.read_text().splitlines()) <= most, script


def test_only_tracking_and_the_registry_import_mlflow():
    for path in [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "stages").glob("*.py")]:
        if path.parent.name not in ("tracking", "registry"):
            assert not any(module.startswith("mlflow") for module in imported(path)), path


def test_no_stage_imports_the_registry():
    for path in [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "stages").glob("*.py")]:
        if path.name != "cli.py" and path.parent.name != "registry":
            assert not any(module.startswith("defectdistill.registry") for module in imported(path)), path


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names
