"""How a melt mark looks by its cause, after the description of the three classes in the cable paper (section 2.1).

Short circuit: a smooth bead with sheen, a sharp demarcation line, spatter. Fire-induced short circuit: a duller,
pitted, carbonised, sagging bead with threads. Flame: a large tapering melt without demarcation, oxidised. Most
distributions overlap, and one mark in twelve is atypical: it takes after another cause by up to half. Whatever is no
trait of the mark (conductor, insulation, soot, support, light, camera, angle) is drawn without knowing the cause.
Means and deviations are this project's own; the paper gives none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

SHORT_CIRCUIT = "short_circuit"
FIRE_INDUCED = "fire_induced_short_circuit"
FLAME = "flame"
CAUSES = (SHORT_CIRCUIT, FIRE_INDUCED, FLAME)

ATYPICAL = 1 / 8  # a third of them draws its own cause as the other one and stays typical: one in twelve remains


@dataclass(frozen=True)
class MeltTraits:
    """One melt mark; lengths in conductor radii, measured along the conductor from the last sound cross-section.

    `taper`: length of the fused, tapering part; `tip`: its half-width at the end. `bulb`: radius of the bead at its
    end; `stretch`: its length over its width; `sag`: how far it hangs to one side. `transition`: the length over which
    strands turn into melt (short = demarcation line); `groove`: depth of the line. `gloss`: 0 matt to 1 mirror.
    `lumps`, `pits`, `threads`: relief of the surface. `carbon`, `scale`: share under carbon and under oxide scale.
    `filaments`: drawn-out copper hairs. `spatter`: number of loose beads.
    """

    taper: float
    tip: float
    bulb: float
    stretch: float
    sag: float
    transition: float
    groove: float
    gloss: float
    lumps: float
    pits: float
    threads: float
    carbon: float
    scale: float
    filaments: int
    spatter: int


# For each trait: (mean, standard deviation) for short circuit, fire-induced short circuit, flame; then the bounds.
_TABLE = {
    "taper": ((0.25, 0.25), (0.8, 0.5), (4.2, 0.9), (0.05, 6.5)),
    "tip": ((0.85, 0.12), (0.8, 0.15), (0.75, 0.18), (0.2, 1.0)),
    "bulb": ((1.35, 0.22), (1.22, 0.27), (0.65, 0.25), (0.2, 2.0)),
    "stretch": ((1.0, 0.07), (1.25, 0.2), (1.3, 0.25), (0.8, 1.8)),
    "sag": ((0.05, 0.2), (0.55, 0.35), (0.35, 0.35), (-0.3, 1.4)),
    "transition": ((0.12, 0.1), (0.6, 0.4), (2.2, 0.7), (0.06, 4.0)),
    "groove": ((0.18, 0.06), (0.06, 0.05), (0.01, 0.02), (0.0, 0.3)),
    "gloss": ((0.9, 0.06), (0.25, 0.12), (0.3, 0.12), (0.05, 0.97)),
    "lumps": ((0.03, 0.02), (0.13, 0.05), (0.2, 0.07), (0.0, 0.35)),
    "pits": ((0.0, 0.02), (0.9, 0.12), (0.02, 0.04), (0.0, 1.0)),
    "threads": ((0.03, 0.05), (0.7, 0.25), (0.08, 0.1), (0.0, 1.0)),
    "carbon": ((0.03, 0.05), (0.42, 0.15), (0.33, 0.12), (0.0, 0.8)),
    "scale": ((0.05, 0.08), (0.25, 0.15), (0.8, 0.15), (0.0, 1.0)),
    "filaments": ((0.2, 0.5), (1.9, 1.2), (0.5, 0.8), (0, 5)),
    "spatter": ((16.0, 5.0), (3.0, 2.0), (0.8, 1.2), (0, 25)),
}


def melt_traits(rng: Generator, cause: str) -> MeltTraits:
    """Draw the melt mark of a `cause` (one of CAUSES); every trait is a normal value cut off at its bounds."""
    own, other = CAUSES.index(cause), int(rng.integers(len(CAUSES)))
    likeness = rng.uniform(0.2, 0.5) if rng.random() < ATYPICAL else 0.0
    drawn = {}
    for name, row in _TABLE.items():
        mean, deviation = (1 - likeness) * np.array(row[own]) + likeness * np.array(row[other])
        drawn[name] = float(np.clip(rng.normal(mean, deviation), *row[-1]))
    counts = {name: round(drawn.pop(name)) for name in ("filaments", "spatter")}
    return MeltTraits(**drawn, **counts)
