"""What one open page knows: the photographs that were dropped, what was said of them, and what was kept of them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import STUDENT
from defectdistill.app.looking import Finding, Refused
from defectdistill.app.uploads import Upload, accept, read, too_long
from defectdistill.data.images import BadImage

_TASKS = itertools.count(1)


@dataclass(frozen=True)
class Batch:
    """Photographs that were dropped together, with what `model` said of them.

    `kept_as` and `words` are by position in `entries`. A change of the model makes a new batch of the same number that
    shares these two.
    """

    number: int
    model: str = STUDENT
    entries: Sequence[Finding | Refused] = ()
    kept_as: dict[int, str] = field(default_factory=dict)
    words: dict[int, str] = field(default_factory=dict)

    def upload(self, position: int) -> Upload | None:
        """Return the photograph at a position that the browser names, None if there is none."""
        entry = self.entries[position] if 0 <= position < len(self.entries) else None
        return entry.upload if isinstance(entry, Finding) else None

    def note(self, kept: Kept, position: int | None) -> None:
        """Remember where the photograph at a position lies now, and all that lay where it did: they are the same."""
        same = [each for each, place in list(self.kept_as.items()) if place == kept.before]
        for each in {*same, *(() if position is None else (position,))}:
            self.kept_as[each], self.words[each] = kept.photograph, kept.words


@dataclass(frozen=True)
class Opened:
    """A photograph that was opened to be drawn on, and its batch's number and its position there if it has a card."""

    upload: Upload
    card: tuple[int, int] | None


class Session:
    """The state of the page in one browser window. It changes in place: several events can be at work on it at once.

    `opened` holds by number what was opened to be drawn on. The browser names batch and number, since what it asks for
    may arrive when others have taken their place.

    No dataclass: Gradio would make a dictionary of one and send it to the browser.
    """

    def __init__(self):
        self.batch, self.page = Batch(0), 0
        self.opened: dict[int, Opened] = {}

    def open(self, upload: Upload, card: tuple[int, int] | None) -> int:
        """Return the number under which a photograph is open from now on."""
        number = next_task()
        self.opened[number] = Opened(upload, card)
        return number

    def note(self, kept: Kept, opened: Opened) -> None:
        """Tell the batch that is shown where an opened photograph lies now."""
        batch = self.batch
        position = opened.card[1] if opened.card and opened.card[0] == batch.number else None
        batch.note(kept, position)


def next_task() -> int:
    """Return a number that no task of the drawing had before."""
    return next(_TASKS)


def arrived(entries: Sequence[Mapping], folder: Path, limits: Limits) -> list[Upload | Refused]:
    """Return what the browser says it sent: uploads in `folder`, or refused files with the reason."""
    found: list[Upload | Refused] = []
    for entry in entries[: 10 * limits.photographs]:
        name = str(entry.get("name", ""))[:255] or "a file without a name"
        if "size" in entry:
            found.append(Refused(name, too_long(int(entry["size"]), limits)))
        elif "reason" in entry or sum(isinstance(each, Upload) for each in found) >= limits.photographs:
            found.append(Refused(name, str(entry.get("reason", "too many at once"))[:300]))
        else:
            try:
                found.append(accept(name, str(entry.get("path", "")), folder))
            except ValueError as error:
                found.append(Refused(name, str(error)))
    return found


def chosen_class(choice: str, other: str) -> str | None:
    """Return the class that was chosen or typed, None for "nobody knows"; raises ValueError where nothing was."""
    if choice == "unknown":
        return None
    if choice == "other":
        return other
    if not choice.startswith("class:"):
        raise ValueError("first choose what the photograph shows")
    return choice.removeprefix("class:")


def keep(upload: Upload, choice: str, other: str, collection: Collection, limits: Limits, mask=None) -> Kept | str:
    """Keep a photograph as what was chosen, with a mask, bool (H, W), if given; return it, or why it cannot be kept."""
    try:
        label = chosen_class(choice, other)
        data, _ = read(upload, limits)
        return collection.keep(data, upload.name, label, mask)
    except BadImage as error:
        return f"Not kept: {error.reason}."
    except ValueError as error:
        return f"Not kept: {error}."
    except OSError as error:
        place = error.filename or collection.folder
        return f"Not kept: {place} cannot be written ({error.strerror}); nothing was changed."
