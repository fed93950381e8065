"""README and docs say what is so: their commands, keys, links and pictures exist."""

import re
import shlex
import shutil
import textwrap
import tomllib

import pytest
import typer
from dvc.cli.parser import get_main_parser
from mlflow.cli import cli as mlflow
from repository import PROJECT, YAML_12, executed, set_params
from torch.distributed.run import get_args_parser as torchrun

from defectdistill.cli import app
from defectdistill.data.tables import flatten
from defectdistill.params import load_params

PAGES = [PROJECT / "README.md", PROJECT / "data/source/README.md", *sorted((PROJECT / "docs").glob("*.md"))]
KEYS = flatten(YAML_12.load(PROJECT / "params.yaml"))
CHANGE = r"-S '?([\w.]+)=([^\s'`]+)"
CHANGES = sorted({line.strip() for page in PAGES for line in page.read_text().splitlines() if re.search(CHANGE, line)})
PROGRAMS = ["make", "dvc", "defectdistill", "python", "torchrun", "uv", "mlflow"]
# Scripts that stand elsewhere before the pipeline has run.
MADE = {"models/onnx/example.py": "src/defectdistill/export/example.py"}


def shown(lines):
    """Return the commands of our programs in lines of code, each by itself."""
    parts = (part.strip().removeprefix(".venv/bin/") for line in lines for part in line.split("  #")[0].split(" && "))
    return [part for part in parts if part.split(" ")[0] in PROGRAMS and " " in part]


def blocks(page):
    """Return the commands of a page that stand in code blocks."""
    return shown(line for line in page.read_text().splitlines() if line.startswith("    "))


def commands(page):
    """Return the commands of a page, those within a sentence too."""
    return blocks(page) + shown(re.findall(r"`([^`\n]+)`", page.read_text()))


def test_the_settings_for_photographs_without_masks_are_valid(tmp_path):
    page = (PROJECT / "docs/your_own_data.md").read_text()
    shown_there = re.search(r"in place of the whole old one:\n\n((?:    .*\n)+)", page)[1]
    params, changes = YAML_12.load(PROJECT / "params.yaml"), YAML_12.load(textwrap.dedent(shown_there))
    params["teacher"] = changes.pop("teacher")
    for section, keys in changes.items():
        assert set(keys) <= set(params[section])
        params[section] |= keys
    YAML_12.dump(params, tmp_path / "params.yaml")
    assert load_params(tmp_path / "params.yaml").prepare.masks == "none"


def of(program):
    """Return all commands of a program that the docs show."""
    found = {command for page in PAGES for command in commands(page)}
    return sorted(command for command in found if command.split()[0] == program)


def anchors(page):
    """Return what a link into a page may name after `#`: its headings as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    texts = (re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", text).replace(" ", "-") for text in texts}


def parse(command, arguments):
    """Parse arguments as a command of click's does, or of typer's own copy of it, without running it."""
    context = command.make_context(command.name, list(arguments))
    while hasattr(command, "resolve_command"):  # a group, whose commands come first in its arguments
        name, command, arguments = command.resolve_command(context, list(arguments))
        if not arguments:  # named, without what it must be given
            return
        context = command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.M))
    targets |= {f"repro-{folder.parent.name.replace('_', '-')}" for folder in PROJECT.glob("pipelines/*/dvc.yaml")}
    words = {word for command in commands(page) if command.startswith("make ") for word in command.split()[1:]}
    assert {word for word in words if "=" not in word} <= targets | {"repro-NAME"}


def test_the_docs_show_commands_of_every_program_that_is_looked_at():
    assert all(of(program) for program in PROGRAMS)


@pytest.mark.parametrize("line", CHANGES)
def test_changes_that_the_docs_show_are_valid(line, tmp_path):
    changes = dict(re.findall(CHANGE, line))
    assert changes.keys() <= KEYS.keys()
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    # a,b is one experiment each, [a,b] one value
    first = {key: value if value.startswith("[") else value.split(",")[0] for key, value in changes.items()}
    set_params(tmp_path, {key: YAML_12.load(value) for key, value in first.items()})
    load_params(tmp_path / "params.yaml")


def test_keys_named_in_the_text_exist():
    sections = "|".join(sorted({key.split(".")[0] for key in KEYS}))
    prefixes = {key.rsplit(".", depth)[0] for key in KEYS for depth in range(key.count(".") + 1)}
    for page in PAGES:
        for name in re.findall(rf"`((?:{sections})\.[\w.]+)[`:]", page.read_text()):
            if not name.endswith((".csv", ".py", ".png", ".json", ".html", ".yaml", ".onnx", ".size")):
                assert name in prefixes, f"{page.name}: {name}"


@pytest.mark.parametrize("command", of("dvc"))
def test_dvc_knows_the_commands_and_their_options(command):
    words = shlex.split(command)[1:]
    if all(word.isalpha() for word in words):  # named, without what it must be given
        with pytest.raises(SystemExit, match=r"^0$"):
            get_main_parser().parse_args([*words, "--help"])
    else:
        get_main_parser().parse_args(words)


@pytest.mark.parametrize("command", of("mlflow") + of("defectdistill"))
def test_mlflow_and_our_program_know_theirs(command):
    program, *arguments = shlex.split(command)
    parse(mlflow if program == "mlflow" else typer.main.get_command(app), arguments)


@pytest.mark.parametrize("command", of("python") + of("torchrun"))
def test_scripts_that_commands_start_exist_and_know_their_options(command):
    program, *arguments = shlex.split(command)
    if program == "torchrun":
        read = torchrun().parse_args(arguments)
        arguments = [read.training_script, *read.training_script_args]
    script = (PROJECT / MADE.get(arguments[0], arguments[0])).read_text()
    assert all(f'"{word}"' in script for word in arguments[1:] if word.startswith("-"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_that_a_page_names_exist(page):
    for script in re.findall(r"\b(?:stages|tools|benchmarks)/\w+\.py", page.read_text()):
        assert (PROJECT / script).exists(), script


@pytest.mark.parametrize("command", of("uv"))
def test_extras_that_are_installed_exist(command):
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"\.\[(\w+)\]", command)) <= extras.keys()


@pytest.mark.parametrize("page", ["safety", "reliability"])
def test_the_tests_that_a_page_names_exist(page):
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (PROJECT / f"docs/{page}.md").read_text())
    assert len(named) > 15
    for file, test in named:
        assert re.search(rf"^def {test}\(", (PROJECT / file).read_text(), re.M), test


def test_the_docs_show_every_command_of_ours_and_no_other():
    ours = {command.split()[1] for page in PAGES for command in blocks(page) if command.startswith("defectdistill ")}
    assert ours == {command.name or command.callback.__name__ for command in app.registered_commands}


def test_every_key_has_a_row_in_the_table_of_what_re_runs():
    text = (PROJECT / "docs/experiments.md").read_text()
    assert {f"`{key.split('.')[0]}.*`" for key in KEYS} <= set(re.findall(r"`\w+\.\*`", text))


def test_executed_reads_what_dvc_prints():
    assert executed("Running stage 'check':\n> python\nStage 'x' didn't change\nRunning stage 'a@b':") == [
        "check",
        "a@b",
    ]
