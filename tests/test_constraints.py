"""Dependencies are pinned: whatever `make` installs has one exact version, and this environment has that one."""

import re
from importlib.metadata import distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from repository import PROJECT

LINES = (PROJECT / "constraints.txt").read_text().splitlines()
PINNED = dict(line.split("==") for line in LINES)


def installed(extras: frozenset[str]) -> dict[str, str]:
    """Return {name: version} of everything that this project needs, directly or not, as it is installed here."""
    versions, seen = {}, set()
    waiting = [("defectdistill", extras)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        package = distribution(name)
        versions[name] = package.version
        for requirement in map(Requirement, package.requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return versions


def test_every_line_pins_one_version_of_one_package():
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.+!]*", line) for line in LINES)
    assert sorted(LINES) == LINES
    assert len(PINNED) == len(LINES)


def test_everything_that_is_installed_is_pinned_to_the_version_that_is_installed():
    versions = installed(frozenset({"dev"}))
    assert {"torch", "certifi", "pytest", "ruff"} <= set(versions)  # direct, of others, and of the extra
    assert {name: PINNED.get(name) for name in versions if name != "defectdistill"} == {
        name: version.partition("+")[0] for name, version in versions.items() if name != "defectdistill"
    }


def test_the_tools_that_make_installs_are_pinned_too():
    assert {"uv", "pip-audit"} <= set(PINNED)
