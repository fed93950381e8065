"""Near copies: the share found of each kind, false ones among different photographs, seconds for ten thousand images.

python benchmarks/near_duplicates.py                       (generated photographs)
python benchmarks/near_duplicates.py FOLDER [GROUPS.csv]   (and those of a class-folder set, not written to results/)
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from measure import machine, write
from photograph_copies import KINDS, Change, everything

from defectdistill.data.copy_groups import Copies, find_copies
from defectdistill.data.images import decode_image
from defectdistill.data.ingest import write_raw
from defectdistill.data.sample import Sample
from defectdistill.data.sources.folder.source import samples as folder_samples
from defectdistill.data.sources.synthetic.source import samples as synthetic_samples
from defectdistill.data.tables import read_table

SIZE, MOST_PIXELS = 128, 10**8


def main() -> None:
    """Measure, print and write results/near_duplicates.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("groups", nargs="?", help="a CSV below the folder: photographs of one group are not different")
    parser.add_argument("--images", type=int, default=10_000)
    options = parser.parse_args()
    if options.folder:
        given = folder_samples(options.folder, options.groups, None, None)
        print(measure([sample for sample in given if isinstance(sample, Sample)]))
        return
    generated = list(synthetic_samples(Path(), 0, 256, 100, 100, 100, 0))
    result = {"machine": machine(os.cpu_count() or 1), "image_size": SIZE, "synthetic": measure(generated)}
    write("near_duplicates", result | {"search": timed(generated, options.images)})


def search(samples: Sequence[Sample]) -> tuple[Copies, float]:
    """Return the near copies among samples, as `prepare` finds them, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_raw(samples, folder, "benchmark", synthetic=True, max_pixels=MOST_PIXELS)
        rows, start = read_table(folder / "index.csv"), time.perf_counter()
        copies = find_copies(folder, rows, SIZE, "squash")
        return copies, time.perf_counter() - start


def measure(samples: Sequence[Sample]) -> dict:
    """Return the share of copies found by kind, and what was called a copy among the photographs themselves."""
    found = {}
    for kind, change in KINDS.items():
        copies, _ = search([*samples, *(altered(sample, kind, change) for sample in samples)])
        numbers = {member: number for number, members in enumerate(copies.sets()) for member in members}
        set_of = {row["name"]: numbers.get(position) for position, row in enumerate(copies.rows)}
        pairs = [(set_of[sample.name], set_of[f"{kind}/{sample.name}.png"]) for sample in samples]
        found[kind] = sum(one is not None and one == other for one, other in pairs) / len(samples)
        print(f"{kind}: {found[kind]:.3f}", flush=True)
    false = linked(search(samples)[0], across_groups=True)
    per_1000 = round(1000 * len(false) / len(samples), 1)
    return {"photographs": len(samples), "found": found, "false_per_1000": per_1000, "false": sorted(false)}


def altered(sample: Sample, kind: str, change: Change) -> Sample:
    """Return a copy of a sample under a name of its own."""
    data = sample.image if isinstance(sample.image, bytes) else sample.image.read_bytes()
    image = change(decode_image(data), np.random.default_rng([*f"{kind}{sample.name}".encode()]))
    return Sample(f"{kind}/{sample.name}.png", sample.label, png(image))


def png(image: np.ndarray) -> bytes:
    """Return uint8 RGB (H,W,3) as a PNG file."""
    return cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


def linked(copies: Copies, across_groups: bool = False) -> set[tuple[str, str]]:
    """Return the names of the pairs that are linked, those within a given group left out if asked."""
    ends = [(copies.rows[link.first], copies.rows[link.second]) for link in copies.links]
    return {(one["name"], other["name"]) for one, other in ends if not across_groups or one["group"] != other["group"]}


def timed(samples: Sequence[Sample], images: int) -> dict[str, float]:
    """Return the seconds for `images` pictures, each of two photographs over one another; one in ten has a copy."""
    generator, different = np.random.default_rng(0), images - images // 10
    originals = [decode_image(sample.image) for sample in samples]
    # No two show the same two photographs: thousands that differ, in a time that a benchmark has.
    ones, others = np.triu_indices(len(originals), 1)
    made = [
        Sample(f"{pair:05d}.png", "ab"[pair % 2], png(cv2.addWeighted(originals[one], 0.5, originals[other], 0.5, 0)))
        for pair in sorted(generator.choice(len(ones), different, replace=False).tolist())
        for one, other in [(ones[pair], others[pair])]
    ]
    copied = made[: images - different]
    copies, seconds = search(made + [altered(sample, "copy", everything) for sample in copied])

    def shared(names: tuple[str, str]) -> set[int]:
        one, other = (int(Path(name).name.partition(".")[0]) for name in names)
        return {ones[one], others[one]} & {ones[other], others[other]}

    wanted, pairs = {(sample.name, f"copy/{sample.name}.png") for sample in copied}, linked(copies)
    return {
        "images": images,
        "seconds": round(seconds, 1),
        "copies": len(wanted),
        "copies_found": len(wanted & pairs),
        # Two pictures that share the one that has more contrast are alike.
        "other_links": len(pairs - wanted),
        "other_links_without_a_photograph_in_common": sum(not shared(pair) for pair in pairs - wanted),
    }


if __name__ == "__main__":
    main()
