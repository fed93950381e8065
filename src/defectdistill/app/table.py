"""The table of all that was said of a batch of photographs, as a CSV file that spreadsheets open right."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from defectdistill.app.looking import Finding, Refused

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write(
    path: Path,
    entries: Sequence[Finding | Refused],
    classes: Sequence[str],
    model: str,
    kept: Mapping[int, str],
) -> Path:
    """Write a row for each photograph and refused file; `kept` says by position as what it was kept for training.

    Columns: file, model, class, confidence, entropy (nats), hand_to_a_person (yes below the threshold), unfamiliar (yes
    where it is unlike all that was learned from), probability/CLASS for each class, kept_as, problem. With the mark of
    UTF-8 at its start, or spreadsheets take it for another coding; what a spreadsheet would take for a formula gets an
    apostrophe in front.
    """
    columns = ["file", "model", "class", "confidence", "entropy", "hand_to_a_person", "unfamiliar"]
    columns += [*(f"probability/{name}" for name in classes), "kept_as", "problem"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([harmless(column) for column in columns])
        for position, entry in enumerate(entries):
            writer.writerow(row(entry, classes, model, kept.get(position, "")))
    return path


def row(entry: Finding | Refused, classes: Sequence[str], model: str, kept_as: str) -> list[str]:
    """Return the cells of one photograph."""
    if isinstance(entry, Refused):
        return [harmless(entry.name), model, *[""] * (len(classes) + 6), entry.reason]
    numbers = [f"{entry.probabilities[name]:.6f}" for name in classes]
    asks, unfamiliar = ("yes" if value else "no" for value in (entry.uncertain, entry.is_unfamiliar))
    said = [harmless(entry.predicted), f"{entry.confidence:.6f}", f"{entry.entropy:.6f}", asks, unfamiliar]
    return [harmless(entry.upload.name), model, *said, *numbers, harmless(kept_as), ""]


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
