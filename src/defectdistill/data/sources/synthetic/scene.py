"""One photograph from start to end: support, conductor with its melt mark, what lies around it, light, camera."""

import cv2
import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from defectdistill.data.sources.synthetic.background import background
from defectdistill.data.sources.synthetic.camera import photograph
from defectdistill.data.sources.synthetic.conductor import Frame, Wire, sheath
from defectdistill.data.sources.synthetic.debris import crumbs, litter, spatter
from defectdistill.data.sources.synthetic.lighting import Lighting, lit
from defectdistill.data.sources.synthetic.melt import bead_centre, specimen
from defectdistill.data.sources.synthetic.pose import Pose
from defectdistill.data.sources.synthetic.surface import Surface, warped
from defectdistill.data.sources.synthetic.traits import MeltTraits, melt_traits

OVERSAMPLING = 1.25  # drawn larger than the picture, so that edges and lines come out smooth

# Each part of a scene draws from a stream of its own: no part can tell the cause by how much another one drew.
STREAMS = ("traits", "pose", "support", "conductor", "insulation", "melt")
STREAMS += ("crumbs", "spatter", "litter", "light", "camera")


def _lay_conductor(rngs: dict[str, Generator], scene: Surface, pose: Pose, traits: MeltTraits) -> None:
    """Draw the conductor straight and lay it, bent and turned, on the scene."""
    n = scene.side
    u, v = pose.axes(n)
    half_width = max(1.9, abs(traits.sag) + 1.2 * traits.bulb + 0.6)
    back = float(-u[np.abs(v) < half_width].min())  # as far as the picture's edge
    front = traits.taper + (1 + traits.stretch) * traits.bulb + 0.8
    frame = Frame.spanning(back, front, half_width, pose.radius * n)
    wire = Wire.drawn(rngs["conductor"])
    columns, rows = ((axis - start.flat[0]) * frame.density for axis, start in ((u, frame.u), (v, frame.v)))
    parts = [specimen(rngs["melt"], wire, traits, frame), sheath(rngs["insulation"], frame)]
    for surface, cover in [part for part in parts if part is not None]:
        surface.height = np.maximum((1 + surface.height) * pose.radius, 0)
        laid = warped(surface, columns, rows)
        scene.lay(laid, cv2.remap(cover, columns, rows, cv2.INTER_LINEAR, borderValue=0))


def draw(seeds: SeedSequence, cause: str, size: int, usual_light: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph (size, size, 3), uint8 RGB, and where its melt mark is seen (size, size), bool.

    The mark is taper and bead as far as they are melted by more than half, the copper hairs on them, and loose metal
    beads with a radius of at least a quarter of the conductor's; what crumbs or insulation hide is left out.
    """
    rngs = {name: default_rng(child) for name, child in zip(STREAMS, seeds.spawn(len(STREAMS)), strict=True)}
    traits = melt_traits(rngs["traits"], cause)
    pose = Pose.drawn(rngs["pose"], traits)
    scene = background(rngs["support"], round(size * OVERSAMPLING))
    litter(rngs["litter"], scene)
    scene.defocus(rngs["camera"].uniform(0.004, 0.013))
    _lay_conductor(rngs, scene, pose, traits)
    crumbs(rngs["crumbs"], scene, pose, traits)
    spatter(rngs["spatter"], scene, pose, traits)
    lighting = (Lighting.usual if usual_light else Lighting.other)(rngs["light"])
    middle = pose.place(*bead_centre(traits))
    picture = photograph(rngs["camera"], lit(scene, lighting), size, middle, dark=not usual_light)
    return picture, cv2.resize(scene.melt, (size, size), interpolation=cv2.INTER_AREA) > 0.5
