"""Draws what was found of a batch of photographs as HTML, a page of cards at a time; all text is escaped."""

import base64
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from defectdistill.app.loaded import Loaded
from defectdistill.app.looking import Finding, Refused
from defectdistill.app.words import far_words, known_words, reason, summary_words, verdict
from defectdistill.evaluation.plot_style import heading, readable
from defectdistill.evaluation.report_words import per_cent

PER_PAGE = 10
QUALITY = 85  # of the JPEG pictures


def draw(
    entries: Sequence[Finding | Refused],
    model: str,
    loaded: Loaded,
    choices: Sequence[str],
    kept: Mapping[int, str],
    batch: int,
    page: int,
) -> str:
    """Return the HTML of one page, from 0; `kept` holds words by position, `batch` counts what was dropped so far."""
    found = [(position, entry) for position, entry in enumerate(entries) if isinstance(entry, Finding)]
    refused = [entry for entry in entries if isinstance(entry, Refused)]
    handed = sum(entry.uncertain or entry.is_unfamiliar for _, entry in found)
    return template().render(
        key=f"{batch}-{model}-{page}",
        batch=batch,
        summary=summary_words(len(found), handed, len(refused)),
        refused=refused if page == 0 else [],
        cards=[
            card(position, entry, model, loaded, kept.get(position, ""))
            for position, entry in found[page * PER_PAGE : (page + 1) * PER_PAGE]
        ],
        choices=choices,
        page=page,
        pages=pages(entries),
    )


def pages(entries: Sequence[Finding | Refused]) -> int:
    """Return how many pages the photographs take, at least one."""
    return max(1, -(-sum(isinstance(entry, Finding) for entry in entries) // PER_PAGE))


def card(position: int, finding: Finding, model: str, loaded: Loaded, kept: str) -> dict:
    """Return what the template shows of one photograph."""
    assessor, nearest = loaded.assessors[model], finding.nearest
    shares = sorted(finding.probabilities.items(), key=lambda entry: -entry[1])
    return {
        "position": position,
        "name": finding.upload.name,
        "finding": finding,
        "label": heading(finding.predicted),
        "verdict": verdict(finding),
        "reason": reason(finding, assessor.threshold, loaded.targets[model], loaded.evaluation.get(model, {})),
        "far": far_words(finding),
        "known": known_words(finding),
        "bars": [(readable(name), share) for name, share in shares],
        "unknown": nearest if isinstance(nearest, str) else "",
        "neighbours": () if isinstance(nearest, str) else nearest.neighbours,
        "kept": kept,
    }


@cache
def template():
    """Return the template of the cards."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(address=address, per_cent=per_cent, readable=readable, distance=distance)
    return environment.get_template("cards.html")


def distance(value: float) -> str:
    """Return a distance with two digits that count, but no more than four decimals."""
    if value < 0.00005:
        return "0"
    return f"{value:.{2 if value >= 0.1 else 3 if value >= 0.01 else 4}f}"


def address(image: np.ndarray) -> str:
    """Return a picture, uint8 RGB (H, W, 3), as a data address: nothing is written or fetched."""
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode()
