"""Where what is no stage's output lives: in the main repository, wherever in it a stage is started."""

import pytest

from defectdistill.places import command_here, root, scratch


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A DVC repository with another one inside, as `pipelines/` is, without a dvc that says where it is."""
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for folder in (tmp_path, tmp_path / "pipelines"):
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc/config").write_text("")
    (tmp_path / "pipelines/worth/rows/plain-0").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("folder", [".", "pipelines", "pipelines/worth", "pipelines/worth/rows/plain-0"])
def test_a_stage_started_by_hand_finds_the_repository_around_it(repository, monkeypatch, folder):
    """A `.dvc` of its own in that folder would hide all that is below from DVC ("is dvc-ignored")."""
    monkeypatch.chdir(repository / folder)
    assert root() == repository
    assert scratch() == repository / ".dvc/tmp/defectdistill"


def test_what_dvc_says_counts_more_than_what_is_around(repository, monkeypatch, tmp_path_factory):
    copy = tmp_path_factory.mktemp("copy")
    (copy / ".dvc").mkdir()
    (copy / ".dvc/config").write_text("")
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(repository / "pipelines"))
    assert root() == repository


def test_where_there_is_no_repository_the_folder_is_the_root(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    (tmp_path / ".dvc").mkdir()  # left by somebody: no repository
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert root() == tmp_path / "below"


@pytest.mark.parametrize(
    ("folder", "command"),
    [(".", "dvc repro"), ("pipelines/cable_paper/run", "make repro-cable-paper"), ("pipelines/cwd", "make repro-cwd")],
)
def test_a_report_names_the_command_of_its_own_pipeline(tmp_path, monkeypatch, folder, command):
    for place in (tmp_path, tmp_path / "pipelines/cable_paper", tmp_path / "pipelines/cwd"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "dvc.yaml").write_text("")
    (tmp_path / folder).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    assert command_here() == command
