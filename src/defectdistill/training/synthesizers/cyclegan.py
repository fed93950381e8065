"""Defects that wander onto good photographs: a CycleGAN for each class of defect (rkd-sarsn's data enhancement).

[choice] The text is an abstract. Each class has a CycleGAN of its own, so that what is made has a label; it learns from
the training photographs alone. Where the picture that was made differs from the good one, it has its mask; where it
differs nowhere there is no defect to see, and it is left out.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch

from defectdistill.data.errors import DataError
from defectdistill.data.packed import INDEX, create_array, labels_of, open_array, read_index
from defectdistill.data.tables import read_columns, read_table, write_table
from defectdistill.processes import end_with_parent
from defectdistill.training.cyclegan import CycleGAN, Rates, moved, scaled, train_cyclegan

THREADS = 1  # of a training, pinned: another number gives other bytes; small layers gain little by more
SMALLEST = 4  # pixels of a part of a mask
TRIES = 2  # pictures that are made for each that is wanted: some show nothing
SHOWN = 8  # good photographs on the picture of each class
RATES = ("steps", "batch_size", "lr", "cycle", "identity")

Sheet = list[tuple[str, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Order:
    """`count` pictures of the class `name`, whose number is `label`."""

    label: int
    name: str
    count: int


def synthesize(train: Path, output: Path, classes: list[str], settings: dict) -> Sheet:
    """Add pictures with defects to the packed arrays of `output`, made of good ones of `train`; return some to show.

    `train` is a folder of `prepare`, `output` what `augment` made of it; `settings` are those of section
    `augment.cyclegan`. Of each other class than `good` so many are made that it has as many photographs as the
    largest, `per_class` at most, and fewer where too few show a defect. Rows are added with the group of the good
    photograph, `mask_source` synthesized and copy 1. A sheet's row is its words, pictures uint8 (2·n, S, S, 3), good
    and made in turn, and their masks.
    Raises DataError where there is no such class.
    """
    images, labels, index = np.array(open_array(train / "images.npy")), labels_of(train), read_index(train)
    if settings["good"] not in classes:
        raise DataError(
            f"augment.synthesizer = cyclegan makes defects out of photographs without one, and there is no class "
            f"{settings['good']!r}: name it by augment.cyclegan.good (there are {', '.join(classes)}), or choose none"
        )
    good, made = np.flatnonzero(labels == classes.index(settings["good"])), []
    orders = placed(labels, classes, settings)
    jobs = [(order, images[good], images[labels == order.label], settings) for order in orders]
    for order, (sources, forged, masks) in zip(orders, side_by_side(jobs), strict=True):
        if len(forged):
            made.append((order.name, good[sources], forged, (1 + order.label) * masks))
        if len(forged) < order.count:
            counted = f"{len(forged)} of {order.count}"
            print(f"cyclegan: of class {order.name}, {counted} pictures show a defect", file=sys.stderr)
    append(output, made, index, classes)
    return [sheet_row(name, images[sources], forged, masks) for name, sources, forged, masks in made]


def placed(labels: np.ndarray, classes: list[str], settings: dict) -> list[Order]:
    """Return what the classes of defects lack of the largest class; `labels` (N,) are the photographs'."""
    counts = np.bincount(labels, minlength=len(classes))
    lacking = np.minimum(counts.max() - counts, settings["per_class"])
    orders = [Order(label, name, int(lacking[label])) for label, name in enumerate(classes)]
    return [order for order in orders if order.count and order.name != settings["good"]]


def side_by_side(jobs: list[tuple]) -> list[tuple]:
    """Return what `forge` returns for each job, in as many processes as torch has threads: it changes no byte."""
    workers = min(len(jobs), torch.get_num_threads())
    if workers < 2:
        return [forge(*job) for job in jobs]
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as processes:
        return [started.result() for started in [processes.submit(forge, *job) for job in jobs]]


def forge(
    order: Order, good: np.ndarray, defective: np.ndarray, settings: dict
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train on pictures of both sides, uint8 (N, S, S, 3); return of those that were ordered and show a defect the rows
    of the good ones they were made of, the pictures, and their masks of 0 and 1."""
    rates, seed = Rates(**{key: settings[key] for key in RATES}), settings["seed"] + order.label
    rng, tried = np.random.default_rng(seed), TRIES * order.count
    sources, givers = rng.choice(len(good), tried, replace=tried > len(good)), rng.choice(len(defective), tried)
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        sizes = (settings["width"], settings["blocks"])
        model = train_cyclegan(good, defective, *sizes, rates, seed, f"good → {order.name}")
        forged, masks = defects_on(model, good[sources], defective[givers], settings["difference"], rng)
    finally:
        torch.set_num_threads(before)
    kept = np.flatnonzero(masks.any(axis=(1, 2)))[: order.count]
    return sources[kept], forged[kept], masks[kept]


@torch.no_grad()
def defects_on(
    model: CycleGAN, good: np.ndarray, givers: np.ndarray, difference: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return good pictures uint8 (N, S, S, 3) with the defects of as many others, and masks uint8 (N, S, S) of 0 and 1:
    1 where the grey levels differ by more than `difference`, without specks."""
    made = []
    for image, giver in zip(good, givers, strict=True):
        defect = scaled(giver[None])
        made.append(model.to_defect(scaled(image[None]), moved(defect - model.to_good(defect), rng)))
    forged = ((torch.cat(made) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    apart = np.abs(forged.astype(np.int16) - good).max(axis=3) > difference
    return forged, np.stack([without_specks(each.astype(np.uint8)) for each in apart])


def without_specks(mask: np.ndarray) -> np.ndarray:
    """Return a mask uint8 (S, S) of 0 and 1 without the parts of fewer than `SMALLEST` pixels.

    Not by an opening, which would take thin scratches too.
    """
    _, parts, measured, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    kept = (measured[:, cv2.CC_STAT_AREA] >= SMALLEST).astype(np.uint8)
    kept[0] = 0  # the background
    return kept[parts]


def append(output: Path, made: list[tuple], index: list[dict[str, str]], classes: list[str]) -> None:
    """Put what was made behind the rows of a folder of packed arrays."""
    if not made:
        return
    forged, masks = (np.concatenate([entry[part] for entry in made]) for part in (2, 3))
    for name, more in (("images.npy", forged), ("masks.npy", masks)):
        before = np.array(open_array(output / name))
        array = create_array(output / name, np.uint8, (len(before) + len(more), *before.shape[1:]))
        array[: len(before)], array[len(before) :] = before, more
    columns, rows = read_columns(output / INDEX), read_table(output / INDEX)
    for name, sources, *_ in made:
        for number, source in enumerate(sources):
            known = {"name": f"cyclegan/{name}/{number:05d}", "label": classes.index(name), "copy": 1}
            rows.append(index[source] | known | {"mask_source": "synthesized"})
    write_table(output / INDEX, columns, [[row[column] for column in columns] for row in rows])


def sheet_row(name: str, good: np.ndarray, forged: np.ndarray, masks: np.ndarray) -> tuple:
    """Return a row of the picture: good photographs, each beside what was made of it."""
    count = min(SHOWN, len(good))
    pictures = np.stack([good[:count], forged[:count]], axis=1).reshape(2 * count, *good.shape[1:])
    marked = np.stack([np.zeros_like(masks[:count]), masks[:count]], axis=1).reshape(2 * count, *masks.shape[1:])
    return f"good → {name}", pictures, marked
