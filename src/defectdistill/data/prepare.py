"""Makes the arrays that everything later reads: one size, masks as label maps, split by group before anything else."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from defectdistill.data.copy_groups import Copies, find_copies
from defectdistill.data.errors import DataError
from defectdistill.data.fewer import in_words, set_aside
from defectdistill.data.given_masks import check_left_out, check_marked
from defectdistill.data.images import decode_image
from defectdistill.data.label_maps import GIVEN, LabelMaps
from defectdistill.data.masks import Table
from defectdistill.data.packed import create_array
from defectdistill.data.preprocess import aspect
from defectdistill.data.preprocess import resize as resize_image
from defectdistill.data.protocol import copied, described, divide
from defectdistill.data.split import SIDES
from defectdistill.data.tables import inside, read_json, read_table, write_json, write_table
from defectdistill.files import digest
from defectdistill.places import PHOTOGRAPHS


def prepare(
    raw: Path,
    output: Path,
    size: int,
    resize: str,
    masks: str,
    mask_coding: str,
    mask_table: Table | None,
    normal_classes: Sequence[str] | None,
    fractions: Sequence[float],
    seed: int,
    near_duplicates: bool,
    protocol: str = "grouped",
    folds: int = 0,
    fold: int = 0,
    label_limit: int | None = None,
    mask_limit: int | None = None,
) -> dict:
    """Write the arrays of `data/prepared` from what `ingest.write_raw` left in `raw`; return the summary also written.

    `size` in pixels, `resize`, `masks`, `mask_coding` as in `LabelMaps`, `mask_table` as in `masks.resolve_table`,
    `normal_classes` as in `normal.normal_classes`, `protocol`, `fractions`, `seed`, `folds` and `fold` as in
    `protocol.divide`, `label_limit` and `mask_limit` as in `fewer.set_aside`; with `near_duplicates` the copies of one
    photograph, those without a label too, are found and put into one group.

    Written are `train/`, `val/`, `test/` with `images.npy` uint8 (N,S,S,3) RGB, `masks.npy` uint8 (N,S,S) label maps
    and `index.csv` (name, label as class index, group, mask_source as `LabelMaps.make`, copy: 0 for a photograph), in
    order of name; `unlabelled/` with `images.npy` and `index.csv` (name, group, held_out: val or test where it shows an
    object of that split, so that nobody learns from it); `near_duplicates.csv` as `Copies.table`; `empty_masks.csv`
    (name, label) as `GivenMasks.empty_on_defect`; `test/photographs.json`, whose `sha256` names the photographs and
    masks that any split is made of; `summary.json`, whose `sha256` names what is learned from, whose `marked` counts,
    by split, the images whose mask shows a defect, whose `label_set_aside` counts those of `unlabelled` that
    `label_limit` took the label from, and `own_test_split` those that the set has for a test; `learned.json`, of that
    what a training may read: one more test photograph leaves it as it is. Raises `DataError` for settings or data that
    cannot be used.
    """
    rows = read_table(raw / "index.csv")
    labelled = [row for row in rows if row["label"]]
    label_maps = LabelMaps(raw, labelled, size, resize, masks, mask_coding, mask_table, normal_classes)
    if masks == "auto" and label_maps.masks == "threshold":
        check_left_out(raw)
    copies = find_copies(raw, rows, size, resize) if near_duplicates else Copies(rows, [], 0)
    for row, group in zip(rows, copies.groups(), strict=True):
        row["group"] = group
    unlabelled = [row for row in rows if not row["label"]]
    with _naming(copies.summary()):
        labelled, sides = divide(labelled, protocol, fractions, seed, folds, fold, label_maps.drawn)
    given = label_maps.masks in GIVEN
    labelled, sides, lost = set_aside(labelled, sides, label_limit, mask_limit, seed, given, label_maps.normal)
    unlabelled = sorted(unlabelled + lost, key=lambda row: row["name"])
    marked = _write_arrays(labelled, sides, unlabelled, raw, output, label_maps, seed)
    label_maps.given.check()
    if masks != "none":
        check_marked(marked, label_maps.masks)
    copies.write(output)
    write_table(output / "empty_masks.csv", ("name", "label"), label_maps.given.empty_on_defect())
    near = {"searched": near_duplicates, **copies.summary()}
    words = described(protocol, fractions, seed, folds, fold) + in_words(label_limit, mask_limit)
    summary = _summary(raw, output, labelled, sides) | {"divided": protocol, "protocol": words, "near_duplicates": near}
    counts = {"marked": marked, "unlabelled": len(unlabelled), "label_set_aside": len(lost), "aspect": aspect(rows)}
    counts["own_test_split"] = sum(row["split"] == "test" for row in labelled)
    summary |= counts | label_maps.summary()
    write_json(output / "summary.json", summary)
    write_json(output / "learned.json", _learned(summary))
    # Of test photographs too, and so where no training looks: a new one trains nothing anew.
    write_json(output / PHOTOGRAPHS, {"sha256": digest([raw / name for name in ("index.csv", "images", "masks")], raw)})
    return summary


def _summary(raw: Path, output: Path, labelled: list[dict[str, str]], sides: Sequence[str]) -> dict[str, Any]:
    """Return what the split and the folders say: counts, groups, what is learned from by its digest."""
    ingested = read_json(raw / "summary.json")
    return {key: ingested[key] for key in ("source", "synthetic", "rejected", "masks_left_out")} | {
        "counts": _counts(labelled, sides),
        "groups": len({row["group"] for row in labelled}),
        "sha256": digest([output / side for side in ("train", "val", "unlabelled")], output),
    }


def _learned(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the networks and their lineage are told of the data: no number that counts test photographs."""
    keys = ("source", "synthetic", "protocol", "sha256", "classes", "size", "resize")
    return {key: summary[key] for key in keys} | {
        "counts": {side: summary["counts"][side] for side in ("train", "val")},
        "marked_splits": [side for side in SIDES if summary["marked"][side]],
        "normal_classes": summary["masks"]["normal_classes"],
        "unmasked_classes": sorted({*summary["masks"]["normal_classes"], *summary["masks"]["unmarked_classes"]}),
    }


@contextmanager
def _naming(copies: Mapping[str, Any]) -> Iterator[None]:
    """Name the near copies, if there are any, in an error about the groups of a split."""
    try:
        yield
    except DataError as error:
        if not copies["photographs"]:
            raise
        raise DataError(
            f"{error}. Near copies were put into one group: {copies['photographs']} photographs in {copies['sets']} "
            f"sets, the largest of {copies['largest']}. If they are different photographs that only look alike (parts "
            "in one place before one camera), set prepare.near_duplicates: false and give the groups yourself"
        ) from error


def _counts(rows: list[dict[str, str]], sides: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = Counter((side, row["label"]) for row, side in zip(rows, sides, strict=True))
    return {side: {label: counts[side, label] for label in sorted({row["label"] for row in rows})} for side in SIDES}


def _write_arrays(
    labelled: list[dict[str, str]],
    sides: Sequence[str],
    unlabelled: list[dict[str, str]],
    raw: Path,
    output: Path,
    label_maps: LabelMaps,
    seed: int,
) -> dict[str, int]:
    """Write all splits and the images without a label; return by split how many masks of it show a defect."""
    marked = {}
    with tqdm(total=len(labelled) + len(unlabelled), desc="prepare", unit=" images", disable=None) as progress:
        for name in SIDES:
            chosen = [row for row, side in zip(labelled, sides, strict=True) if side == name]
            marked[name] = _write_side(chosen, raw, output / name, label_maps, seed, progress)
        held_out = {row["group"]: side for row, side in zip(labelled, sides, strict=True) if side != "train"}
        _write_unlabelled(unlabelled, held_out, raw, output / "unlabelled", label_maps, progress)
    return marked


def _write_side(
    rows: list[dict[str, str]], raw: Path, folder: Path, label_maps: LabelMaps, seed: int, progress: tqdm
) -> int:
    """Write a split; return how many of its images have a mask that shows a defect."""
    folder.mkdir(parents=True, exist_ok=True)
    size = label_maps.size
    images = create_array(folder / "images.npy", np.uint8, (len(rows), size, size, 3))
    masks = create_array(folder / "masks.npy", np.uint8, (len(rows), size, size))
    index, marked = [], 0
    for position, row in enumerate(rows):
        image = decode_image(inside(raw, row["image"]).read_bytes())
        small = resize_image(image, size, label_maps.resize)
        mask, source = label_maps.make(row, image.shape[:2], small)
        images[position], masks[position] = copied(row, small, mask, seed)
        marked += bool(masks[position].any())
        index.append((row["name"], label_maps.classes.index(row["label"]), row["group"], source, row["copy"]))
        progress.update()
    write_table(folder / "index.csv", ("name", "label", "group", "mask_source", "copy"), index)
    return marked


def _write_unlabelled(
    rows: list[dict[str, str]],
    held_out: Mapping[str, str],
    raw: Path,
    folder: Path,
    label_maps: LabelMaps,
    progress: tqdm,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    size = label_maps.size
    images = create_array(folder / "images.npy", np.uint8, (len(rows), size, size, 3))
    for position, row in enumerate(rows):
        images[position] = resize_image(decode_image(inside(raw, row["image"]).read_bytes()), size, label_maps.resize)
        progress.update()
    index = [(row["name"], row["group"], held_out.get(row["group"], "")) for row in rows]
    write_table(folder / "index.csv", ("name", "group", "held_out"), index)
