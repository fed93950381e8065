"""README and docs say what is so: their commands, keys, links and pictures exist."""

import re
import shlex
import shutil

import pytest
from repository import PROJECT, YAML_12, executed, run, set_params

from defectdistill.cli import app
from defectdistill.params import flatten, load_params

PAGES = [PROJECT / "README.md", PROJECT / "data/source/README.md", *sorted((PROJECT / "docs").glob("*.md"))]
KEYS = flatten(YAML_12.load(PROJECT / "params.yaml"))
CHANGE = r"-S '?([\w.]+)=([^\s'`]+)"
CHANGES = sorted({line.strip() for page in PAGES for line in page.read_text().splitlines() if re.search(CHANGE, line)})


def commands(page):
    """Return the lines of a page that stand as code blocks and begin like a command."""
    lines = [line[4:].split("  #")[0].strip() for line in page.read_text().splitlines() if line.startswith("    ")]
    return [line for line in lines if re.match(r"(make|dvc|defectdistill|python|\.) ", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_exist(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([\w-]+):", (PROJECT / "Makefile").read_text(), re.M))
    targets |= {f"repro-{folder.parent.name.replace('_', '-')}" for folder in PROJECT.glob("pipelines/*/dvc.yaml")}
    assert {command.split()[1] for command in commands(page) if command.startswith("make ")} <= targets


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


def test_every_dvc_command_of_the_docs_is_one():
    seen = {
        tuple(part for part in shlex.split(command)[1:3] if part.isalpha())
        for page in PAGES
        for command in commands(page)
        if command.startswith("dvc ")
    }
    assert ("exp", "run") in seen
    for command in seen:
        known = command if command[0] in ("exp", "queue") else command[:1]
        run(f"dvc {' '.join(known)} --help", PROJECT)


@pytest.mark.parametrize("page", ["safety", "reliability"])
def test_the_tests_that_a_page_names_exist(page):
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (PROJECT / f"docs/{page}.md").read_text())
    assert len(named) > 15
    for file, test in named:
        assert re.search(rf"^def {test}\(", (PROJECT / file).read_text(), re.M), test


def test_the_docs_show_every_command_of_ours_and_no_other():
    ours = {command.split()[1] for page in PAGES for command in commands(page) if command.startswith("defectdistill ")}
    assert ours == {command.name or command.callback.__name__ for command in app.registered_commands}


def test_every_key_has_a_row_in_the_table_of_what_re_runs():
    text = (PROJECT / "docs/experiments.md").read_text()
    assert {f"`{key.split('.')[0]}.*`" for key in KEYS} <= set(re.findall(r"`\w+\.\*`", text))


def test_executed_reads_what_dvc_prints():
    assert executed("Running stage 'check':\n> python\nStage 'x' didn't change\nRunning stage 'a@b':") == [
        "check",
        "a@b",
    ]
