"""What all reports share: the template with its filters, pictures inside the page, and the table of images."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from defectdistill.evaluation.plot_style import heading, readable
from defectdistill.evaluation.report_words import flattery, number, signed, span

Figures = Sequence[tuple[str, Path]]

_IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


def page_template(name: str) -> Template:
    """Return a page of this folder as a template that escapes what it is given and knows no missing value."""
    environment = Environment(
        loader=PackageLoader("defectdistill.evaluation", "pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": number, "signed": signed, "span": span, "readable": readable, "heading": heading}
    return environment.get_template(name)


def tested(data: Mapping[str, Any], leaks: Mapping[str, Any], images: int) -> dict[str, Any]:
    """Return what evaluate.json says of the data under `data`: source, synthetic, and of how many test images, of how
    many with a near copy among those that were learned from. `data` is summary.json, `leaks` from `find_leaks`."""
    return {
        "source": data["source"],
        "synthetic": data["synthetic"],
        "test_images": images,
        "test_images_with_a_copy": with_a_copy(leaks),
    }


def with_a_copy(leaks: Mapping[str, Any]) -> int:
    """Return how many test images have a near copy among those that were learned from."""
    return len({pair["name"] for pair in leaks["pairs"]})


def page_facts(data: Mapping[str, Any], leaks: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every page says of the data, by the names that its templates use."""
    return {
        "data": data,
        "leaks": leaks,
        "flattery": flattery(data["divided"]),
        "leaked": with_a_copy(leaks),
        "splits": splits(data),
        "count_rows": count_rows(data),
    }


def splits(data: Mapping[str, Any]) -> list[str]:
    """Return the splits in the order of their use; summary.json sorts its keys."""
    order = ["train", "val", "test"]
    return sorted(data["counts"], key=lambda split: order.index(split) if split in order else len(order))


def count_rows(data: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Return the images per class and, last, of all classes: one number per split, then their sum."""
    rows = [(name, [data["counts"][split].get(name, 0) for split in splits(data)]) for name in data["classes"]]
    rows.append(("All classes", [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]))
    return [(name, [*counts, sum(counts)]) for name, counts in rows]


def embedded(figures: Figures) -> list[tuple[str, str]]:
    """Return (caption, data URI) of figures; raises ValueError for a picture of another type than PNG, JPEG, WebP."""
    return [(caption, _data_uri(file)) for caption, file in figures]


def _data_uri(file: Path) -> str:
    if file.suffix.lower() not in _IMAGE_TYPES:
        raise ValueError(f"{file.name} is no picture for the report; expected one of {', '.join(_IMAGE_TYPES)}")
    return f"data:{_IMAGE_TYPES[file.suffix.lower()]};base64,{base64.b64encode(file.read_bytes()).decode()}"
