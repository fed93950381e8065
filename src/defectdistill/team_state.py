"""What stands between a repository and its teammates: remotes, changes not committed, experiments, lost outputs.

Questions only, asked of git and of DVC's command line; nothing here changes a repository.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import NamedTuple

from ruamel.yaml import YAML

# Where DVC keeps a finished experiment: refs/exps/<the commit it started from>/<name>.
EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/(?P<name>.+)")
PIPELINE_FILES = {"dvc.yaml", "dvc.lock", "params.yaml"}


class Remote(NamedTuple):
    """A DVC remote: its name, and its URL or an absolute folder."""

    name: str
    url: str


def ask(root: Path, *command: str) -> str:
    """Return what a command prints; raises ValueError with what it complains about if it fails.

    Names of files that are not UTF-8 come as Python has them, and can be given to it and to commands again.
    """
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="surrogateescape")
    if done.returncode != 0:
        words = f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()}"
        raise ValueError(words.encode(errors="backslashreplace").decode())
    return done.stdout


def ask_dvc(root: Path, *arguments: str) -> str:
    """Return what `dvc` prints, the one installed beside this package."""
    return ask(root, sys.executable, "-m", "dvc", *arguments)


def repository_root() -> Path:
    """Return the root of the git repository around the working directory."""
    return Path(ask(Path.cwd(), "git", "rev-parse", "--show-toplevel").strip())


def dvc_remote(root: Path, name: str | None) -> Remote:
    """Return the DVC remote called `name`, the default one for None; raises ValueError saying how to add it."""
    # a later line overrides an earlier one, as .dvc/config.local does .dvc/config
    settings = dict(line.split("=", 1) for line in ask_dvc(root, "config", "--list").splitlines() if "=" in line)
    keys = [re.fullmatch(r"remote\.(.+)\.url", key) for key in settings]
    remotes = {key[1]: Remote(key[1], settings[key[0]]) for key in keys if key}
    if not remotes:
        raise ValueError(
            "no DVC remote is configured; add one, for example: dvc remote add --default team s3://bucket/dvc"
        )
    name = name or settings.get("core.remote")
    if name is None:
        raise ValueError(f"no default among the DVC remotes ({', '.join(remotes)}); choose: dvc remote default NAME")
    if name not in remotes:
        raise ValueError(f"no DVC remote {name!r}; known: {', '.join(remotes)}; add it: dvc remote add {name} URL")
    remote = remotes[name]
    if "://" not in remote.url and not Path(remote.url).is_dir():
        # DVC would make the folder: on the local disk, if the network disk is not mounted.
        raise ValueError(
            f"{remote.url}, the folder of the DVC remote {name!r}, is not there; mount its disk, or mkdir it"
        )
    return remote


def references(root: Path, git_remote: str) -> dict[str, str]:
    """Return the commits of a git remote's branches and experiments by reference; raises ValueError if unreachable."""
    known = ask(root, "git", "remote").split()
    if git_remote not in known:
        names = ", ".join(known) or "none"
        raise ValueError(f"no git remote {git_remote!r}; known: {names}; add it: git remote add {git_remote} URL")
    try:
        rows = ask(root, "git", "ls-remote", git_remote).splitlines()
    except ValueError as error:
        raise ValueError(
            f"the git remote {git_remote!r} does not answer; nothing was lost or changed. {error}"
        ) from error
    return {reference: commit for commit, reference in (row.split("\t") for row in rows)}


def experiments(root: Path) -> dict[str, str]:
    """Return the commits of this repository's finished experiments by reference."""
    rows = ask(root, "git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps").splitlines()
    found = {reference: commit for commit, reference in (row.split(" ", 1) for row in rows)}
    return {reference: commit for reference, commit in found.items() if EXPERIMENT.fullmatch(reference)}


def remote_section(root: Path, commit: str, name: str) -> str:
    """Return what a commit's .dvc/config says of a DVC remote, empty if nothing."""
    if not ask(root, "git", "ls-tree", commit, ".dvc/config"):
        return ""
    text = ask(root, "git", "show", f"{commit}:.dvc/config")
    found = re.search(rf"^\['remote \"{re.escape(name)}\"'\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def nested(files: Iterable[str]) -> set[PurePosixPath]:
    """Return the folders that are DVC repositories of their own, by a repository's files: here `pipelines`."""
    return {PurePosixPath(name).parent.parent for name in files if name.endswith("/.dvc/config")}


def is_below(name: str, folders: set[PurePosixPath]) -> bool:
    """Say whether a file lies in one of some folders."""
    return not folders.isdisjoint(PurePosixPath(name).parents)


def lock_files(root: Path) -> list[str]:
    """Return every dvc.lock of this DVC repository, committed or not; raises ValueError if there is none yet."""
    listed = ask(root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "dvc.lock", "*/dvc.lock")
    others = nested(ask(root, "git", "ls-files", "-z").split("\0"))
    found = [name for name in listed.split("\0") if name and not is_below(name, others)]
    if not found:
        raise ValueError("no dvc.lock: nothing was reproduced yet; run `dvc repro`, then commit dvc.lock")
    return found


def changed_files(root: Path, locks: list[str]) -> list[str]:
    """Return the files that stages read or DVC wrote, and that differ from the commit or are unknown to git."""
    entries = ask(root, "git", "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all").split("\0")
    others = nested(ask(root, "git", "ls-files", "-z").split("\0"))
    read = set()
    for lock in locks:
        for stage in YAML(typ="safe").load(root / lock)["stages"].values():
            for entry in stage.get("deps", ()):
                # a stage's paths begin at dvc.yaml, or at the root where its wdir says so
                read |= {normpath(entry["path"]), normpath(f"{PurePosixPath(lock).parent}/{entry['path']}")}
    changed = [entry[3:] for entry in entries if entry]
    return [name for name in changed if is_read(name, read) and not is_below(name, others)]


def is_read(name: str, read: set[str]) -> bool:
    """Say whether a file of the repository, or a folder that it lies in, is among what stages read."""
    path = PurePosixPath(name)
    if path.name in PIPELINE_FILES or path.suffix == ".dvc" or name == ".dvc/config":
        return True
    return not read.isdisjoint({str(path), *map(str, path.parents)} - {"."})


def changed_stages(root: Path, locks: list[str]) -> list[str]:
    """Return the stages, and data added by hand, that `dvc repro` would run or bring back."""
    files = ask(root, "git", "ls-files", "-z").split("\0")
    others = nested(files)
    added = [name for name in files if name.endswith(".dvc") and not is_below(name, others)]
    pipelines = [str(PurePosixPath(lock).with_name("dvc.yaml")) for lock in locks]
    return list(json.loads(ask_dvc(root, "status", "--json", *pipelines, *added)))


def cache_folder(root: Path) -> Path:
    """Return where DVC keeps this machine's outputs."""
    return root / ask_dvc(root, "cache", "dir").strip()


def lost_outputs(root: Path, commit: str, cache: Path) -> list[str]:
    """Return the outputs of a commit that are neither in this machine's cache nor in git: nobody can be given them."""
    files = set(ask(root, "git", "ls-tree", "-r", "-z", "--name-only", commit).split("\0"))
    others, lost = nested(files), []
    for name in sorted(files):
        if (PurePosixPath(name).name != "dvc.lock" and not name.endswith(".dvc")) or is_below(name, others):
            continue
        document = YAML(typ="safe").load(ask(root, "git", "show", f"{commit}:{name}"))
        owners = document["stages"].values() if "stages" in document else [document]
        outputs = [entry for owner in owners for entry in owner.get("outs", ())]
        lost += [entry["path"] for entry in outputs if entry["path"] not in files and not is_cached(entry, cache)]
    return lost


def is_cached(output: dict, cache: Path) -> bool:
    """Say whether the cache holds an output of a dvc.lock whole: its file, or its list and every file on that."""
    if output.get("hash") != "md5":
        return True  # kept elsewhere, by another tool's key
    file = cached_file(cache, output["md5"])
    if not file.suffix:
        return file.exists()
    return file.exists() and all(cached_file(cache, item["md5"]).exists() for item in json.loads(file.read_text()))


def cached_file(cache: Path, md5: str) -> Path:
    """Return where DVC keeps the bytes of a hash."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]
