"""Draws sheets of small pictures with the outlines of their masks: what went in and what came out, at a glance."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Row = tuple[str, np.ndarray, np.ndarray | None]

# RGB, after Okabe and Ito ("Color Universal Design"), without the tones that drown in copper (orange, vermilion) or in
# grey steel; each line has a dark one around it, so that bright reflections do not swallow it either.
COLOURS = ((86, 220, 255), (255, 240, 60), (0, 215, 140), (255, 130, 210), (255, 255, 255), (120, 150, 255))
HALO = (20, 20, 20)
INK, FAINT, PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)

MARGIN, GAP, HEADING, TEXT = 16, 4, 22, 15


def contact_sheet(
    rows: Sequence[Row],
    columns: int,
    path: Path,
    title: str,
    tile: int = 128,
    headings: Sequence[str] = (),
    legend: Sequence[str] = (),
    synthetic: bool = False,
) -> None:
    """Write a PNG with one line of tiles per row, its title to the left; the same input gives the same bytes.

    A row is (title, images uint8 (N,S,S,3) RGB, masks uint8 (N,S,S) label maps or None); more than `columns` images go
    on in further lines. Masks are outlined just outside of their edge, in `COLOURS[label - 1]`, so that nothing of the
    defect is covered. `tile` is the side of a tile in pixels; `headings` stand above the columns; `legend` names the
    labels from 1 on. `synthetic` says behind the title that nothing here was photographed. A row's title may hold
    several lines. Raises ValueError where there is nothing to show.
    """
    title += " · SYNTHETIC DATA" if synthetic else ""
    rows = [row for row in rows if len(row[1])]
    if not rows or columns < 1:
        raise ValueError(f"a contact sheet of {len(rows)} rows with images and {columns} columns shows nothing")
    columns = min(columns, max(len(images) for _, images, _ in rows))
    left = 2 * MARGIN + max(_width(line, TEXT) for row in rows for line in row[0].split("\n"))
    top = MARGIN + 30 + (HEADING if headings else 0)
    lines = [-(-len(images) // columns) for _, images, _ in rows]
    bottom = MARGIN + (HEADING if legend else 0)
    width = max(left + columns * (tile + GAP) + MARGIN, 2 * MARGIN + _width(title, 19))
    sheet = Image.new("RGB", (width, top + sum(lines) * (tile + GAP) + len(rows) * GAP + bottom), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN - 4), title, INK, _font(19))
    for column, heading in enumerate(headings):
        draw.text((left + column * (tile + GAP), top - HEADING + 2), heading, FAINT, _font(TEXT))
    for (name, images, masks), count in zip(rows, lines, strict=True):
        draw.multiline_text((MARGIN, top + 4), name, INK, _font(TEXT), spacing=4)
        for number, image in enumerate(images):
            corner = (left + number % columns * (tile + GAP), top + number // columns * (tile + GAP))
            sheet.paste(Image.fromarray(_tile(image, None if masks is None else masks[number], tile)), corner)
        top += count * (tile + GAP) + GAP
    _draw_legend(draw, legend, left, top + 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, "PNG", optimize=True)


def outline(image: np.ndarray, mask: np.ndarray, thickness: int = 2) -> np.ndarray:
    """Return a copy of `image` (uint8 RGB (H,W,3)) with the labels of `mask` (uint8 (H,W)) outlined from outside."""
    drawn = image.copy()
    rim = np.ones((2 * thickness + 3,) * 2, np.uint8)  # so far out that the dark rim stays outside too
    contours = {
        int(label): cv2.findContours(
            cv2.dilate((mask == label).astype(np.uint8), rim), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )[0]
        for label in np.unique(mask)
        if label
    }
    for extra in (2, 0):  # all dark rims first: none may cross out a neighbour's colour
        for label, lines in contours.items():
            colour = HALO if extra else COLOURS[(label - 1) % len(COLOURS)]
            cv2.drawContours(drawn, lines, contourIdx=-1, color=colour, thickness=thickness + extra)
    return drawn


def _tile(image: np.ndarray, mask: np.ndarray | None, size: int) -> np.ndarray:
    interpolation = cv2.INTER_AREA if size < len(image) else cv2.INTER_LINEAR
    scaled = cv2.resize(np.ascontiguousarray(image), (size, size), interpolation=interpolation)
    if mask is None or not mask.any():
        return scaled
    return outline(scaled, cv2.resize(np.ascontiguousarray(mask), (size, size), interpolation=cv2.INTER_NEAREST))


def _draw_legend(draw: ImageDraw.ImageDraw, names: Sequence[str], left: int, top: int) -> None:
    for label, name in enumerate(names):
        colour = COLOURS[label % len(COLOURS)]
        draw.rectangle((left, top + 4, left + 14, top + 14), fill=HALO)
        draw.line((left + 2, top + 9, left + 12, top + 9), fill=colour, width=3)
        draw.text((left + 20, top), name, INK, _font(TEXT - 2))
        left += 40 + _width(name, TEXT - 2)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib brings this font along: the same letters, Greek and accents too, on every machine.
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))
