"""What one open page knows: the photographs that were dropped, what was said of them, and what was kept of them."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import STUDENT
from defectdistill.app.looking import Finding, Refused
from defectdistill.app.uploads import Upload, accept, read, too_long
from defectdistill.data.images import BadImage

_TASKS = itertools.count(1)


class Session:
    """The state of the page in one browser window; `kept_as` and `words` are by position in `entries`.

    No dataclass: Gradio would make a dictionary of one and send it to the browser.
    """

    def __init__(self, model: str = STUDENT, batch: int = 0, drawn_on: Upload | None = None):
        self.model, self.batch, self.drawn_on, self.page = model, batch, drawn_on, 0
        self.entries: list[Finding | Refused] = []
        self.kept_as: dict[int, str] = {}
        self.words: dict[int, str] = {}


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
        raise ValueError("choose first what the photograph shows")
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
