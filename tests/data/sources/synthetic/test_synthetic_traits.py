"""The causes differ in the melt mark as the paper says, and in nothing else."""

import numpy as np
import pytest
from numpy.random import SeedSequence, default_rng

from defectdistill.data.sources.synthetic import scene
from defectdistill.data.sources.synthetic.traits import CAUSES, FIRE_INDUCED, FLAME, SHORT_CIRCUIT, melt_traits


def mean_of(trait, cause):
    rng = default_rng(7)
    return np.mean([getattr(melt_traits(rng, cause), trait) for _ in range(300)])


@pytest.mark.parametrize(
    ("trait", "most"),
    [
        ("gloss", SHORT_CIRCUIT),
        ("spatter", SHORT_CIRCUIT),
        ("groove", SHORT_CIRCUIT),
        ("pits", FIRE_INDUCED),
        ("carbon", FIRE_INDUCED),
        ("threads", FIRE_INDUCED),
        ("sag", FIRE_INDUCED),
        ("taper", FLAME),
        ("transition", FLAME),
        ("scale", FLAME),
    ],
)
def test_each_cause_leads_in_the_traits_that_the_paper_gives_it(trait, most):
    assert max(CAUSES, key=lambda cause: mean_of(trait, cause)) == most


def test_support_conductor_and_light_are_drawn_without_the_cause(monkeypatch):
    seen = {}

    def keep(name):
        original = getattr(scene, name)

        def wrapped(rng, *rest, **named):
            seen.setdefault(name, []).append(rng.bit_generator.state["state"]["state"])
            return original(rng, *rest, **named)

        monkeypatch.setattr(scene, name, wrapped)

    for name in ("background", "sheath", "photograph"):
        keep(name)
    for cause in CAUSES:
        scene.draw(SeedSequence([1, 2, 3]), cause, 64, usual_light=True)
    assert all(len(states) == 3 and len(set(states)) == 1 for states in seen.values())
    assert len(seen) == 3
