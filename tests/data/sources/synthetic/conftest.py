"""The default data set, drawn once for all tests here."""

from pathlib import Path

import pytest

from defectdistill.data.sources.synthetic.source import samples


@pytest.fixture(scope="session")
def default_set():
    counts = {"short_circuit": 32, "fire_induced_short_circuit": 29, "flame": 55, "unlabelled": 0}
    return list(samples(Path("."), seed=0, image_size=256, **counts))
