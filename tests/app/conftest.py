import pytest
from app_project import make_project

from defectdistill.app.loaded import Loaded


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A folder after `dvc repro`, which nobody changes."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def loaded(project):
    """The models of that folder."""
    places = (project / "metrics/calibration.json", project / "metrics/evaluate.json", project / "data/prepared")
    return Loaded.open(project / "models", *places)
