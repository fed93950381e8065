"""Brings the photographs of any source into one form, `data/raw`, and lists what cannot be used with the reason."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from defectdistill.data.errors import DataError
from defectdistill.data.images import BadImage, count_colours, decode_image
from defectdistill.data.mask_image import MASK_COLOURS, decode_mask, seems_mask, small, why_photograph
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.stray_masks import without_masks
from defectdistill.data.tables import write_json, write_table

COLUMNS = ("id", "name", "label", "group", "image", "mask", "width", "height", "split")
LARGEST_PIXEL = 8  # bytes: four channels of 16 bits, not compressed
LARGEST_REST = 10_000_000  # bytes of a file that are no pixels: a camera's preview, colour profile, notes


class BadMask(BadImage):
    """A photograph that is left out for its mask."""


def write_raw(
    samples: Iterable[Sample | Rejected], output: Path, source: str, synthetic: bool, max_pixels: int
) -> dict:
    """Check and copy what a source yields into `output`; return the summary that is also written.

    Images and masks keep their encoded bytes, one at a time is in memory. Written are `images/`, `masks/`, `index.csv`
    (`COLUMNS`; ids in order of name; label empty without one; group falls back to the name; mask empty if there is
    none; size upright after EXIF; split train or test where the data set says so, else empty), `rejected.csv` (name,
    reason) and `summary.json`. An image is left out where it or its mask cannot be decoded, has more than `max_pixels`
    pixels, or where they differ in shape; and where it looks like a mask and others do not, as in `without_masks`.
    A mask may be of another size; `masks_of_another_size` counts these.
    Raises `DataError`, leaving none of the named files behind, where no labelled image or a single class is left.
    """
    arriving = output / ".arriving"
    for old in (arriving, output / "images", output / "masks"):
        shutil.rmtree(old, ignore_errors=True)
    for old in ("index.csv", "rejected.csv", "summary.json"):
        (output / old).unlink(missing_ok=True)
    arriving.mkdir(parents=True)
    try:
        rows, rejected = without_masks(*_receive(samples, arriving, max_pixels))
        _check_classes(rows, rejected)
        index = _settle(rows, arriving, output)
    finally:
        shutil.rmtree(arriving)
    write_table(output / "index.csv", COLUMNS, index)
    write_table(output / "rejected.csv", ("name", "reason"), sorted((item.name, item.reason) for item in rejected))
    counts = Counter(row["label"] for row in rows if row["label"] is not None)
    summary = {
        "source": source,
        "synthetic": synthetic,
        "counts": dict(sorted(counts.items())),
        "unlabelled": len(rows) - counts.total(),
        "groups": len({row["group"] for row in rows if row["label"] is not None}),
        "masks": sum(row["mask"] is not None for row in rows),
        "rejected": len(rejected),
        "masks_left_out": sum(item.mask for item in rejected),
        "masks_of_another_size": sum(row["scaled"] for row in rows),
    }
    write_json(output / "summary.json", summary)
    return summary


def _receive(samples: Iterable[Sample | Rejected], folder: Path, max_pixels: int) -> tuple[list[dict], list[Rejected]]:
    """Write the good images to `folder` under their number of arrival; return what is known of them, and the bad."""
    rows, rejected, names = [], [], set()
    for sample in tqdm(samples, desc="ingest", unit=" images", disable=None):
        if isinstance(sample, Rejected):
            rejected.append(sample)
            continue
        if sample.name in names:
            raise ValueError(f"the source yields the name {sample.name!r} twice; names must be unique")
        names.add(sample.name)
        try:
            image, mask, known = _check(sample, max_pixels)
        except BadImage as error:
            rejected.append(Rejected(sample.name, error.reason, isinstance(error, BadMask)))
            continue
        number = len(rows)
        (folder / f"{number}.image").write_bytes(image)
        if mask is not None:
            (folder / f"{number}.mask").write_bytes(mask)
        rows.append(
            {
                "number": number,
                "name": sample.name,
                "label": sample.label,
                "group": sample.group or sample.name,
                "image": PurePosixPath(sample.name).suffix.lower(),
                "mask": None if mask is None else _mask_suffix(sample),
                "split": sample.split or "",
            }
            | known
        )
    return rows, rejected


def _check(sample: Sample, max_pixels: int) -> tuple[bytes, bytes | None, dict]:
    """Return the encoded image and mask, and what the image's pixels tell, if both can be used."""
    try:
        _check_bytes(sample, max_pixels)
        image, mask = sample.image_bytes(), sample.mask_bytes()
    except OSError as error:
        raise BadImage(f"cannot be read ({error.strerror}); check its permissions and the disk") from error
    name = f"its mask {sample.mask.name}" if isinstance(sample.mask, Path) else "its mask"
    try:
        pixels = decode_image(image, max_pixels)
    except BadImage as error:
        if not isinstance(sample.mask, Path):
            raise
        beside = f" ({sample.mask.name} counts as its mask; if that is the photograph, take this file out)"
        raise BadImage(error.reason + beside) from error
    height, width = pixels.shape[:2]
    known = {"width": width, "height": height, "colours": count_colours(pixels, MASK_COLOURS)}
    known |= {"seems": seems_mask(pixels), "scaled": False}
    if mask is None:
        return image, mask, known
    photograph = small(pixels)
    del pixels  # before the mask is decoded: both may be large
    try:
        decoded = decode_mask(mask, max_pixels)
    except BadImage as error:
        raise BadMask(f"{name}: {error.reason}") from error
    rows, columns = decoded.values.shape[:2]
    if abs(rows * width - columns * height) > max(rows, columns, height, width):
        raise BadMask(
            f"{name} is {columns}×{rows}, the image (upright) {width}×{height}; draw it again in the same shape"
        )
    if (reason := why_photograph(decoded, photograph, known["colours"], known["seems"])) is not None:
        raise BadMask(f"{name} {reason}")
    return image, mask, known | {"scaled": (rows, columns) != (height, width)}


def _check_bytes(sample: Sample, max_pixels: int) -> None:
    """Raise BadImage for a file that is longer than an image of `max_pixels` can be, before it is in memory."""
    limit = LARGEST_PIXEL * max_pixels + LARGEST_REST
    for file, words, refused in ((sample.image, "it", BadImage), (sample.mask, "its mask", BadMask)):
        size = file.stat().st_size if isinstance(file, Path) else 0
        if size > limit:
            raise refused(
                f"{words} has {size} bytes, more than {limit}, which ingest.max_pixels = {max_pixels} can take; "
                "raise ingest.max_pixels or shrink it"
            )


def _check_classes(rows: list[dict], rejected: list[Rejected]) -> None:
    labels = sorted({row["label"] for row in rows} - {None})
    if len(labels) > 1:
        return
    reasons = "".join(f"\n  {item.name}: {item.reason}" for item in rejected[:5])
    left_out = f"; {len(rejected)} inputs were left out, the first:{reasons}" if rejected else ""
    if not labels:
        raise DataError(
            f"no labelled image was found ({len(rows)} without a label); put photographs into one folder per class, "
            f"at least two{left_out}"
        )
    raise DataError(
        f"all {sum(row['label'] is not None for row in rows)} labelled images are of the class {labels[0]!r}; a "
        "classifier needs at least two: add a folder of another class, of good parts for example, and check that "
        f"ingest.path is the folder above the class folders{left_out}"
    )


def _settle(rows: list[dict], arriving: Path, output: Path) -> list[tuple]:
    """Move the images to their places in order of name; return the rows of the index."""
    (output / "images").mkdir()
    (output / "masks").mkdir()
    index = []
    for number, row in enumerate(sorted(rows, key=lambda row: row["name"])):
        identity = f"{number:05d}"
        image, mask = f"images/{identity}{row['image']}", ""
        (arriving / f"{row['number']}.image").rename(output / image)
        if row["mask"] is not None:
            mask = f"masks/{identity}{row['mask']}"
            (arriving / f"{row['number']}.mask").rename(output / mask)
        known = (row["width"], row["height"], row["split"])
        index.append((identity, row["name"], row["label"] or "", row["group"], image, mask, *known))
    return index


def _mask_suffix(sample: Sample) -> str:
    return sample.mask.suffix.lower() if isinstance(sample.mask, Path) else ".png"
