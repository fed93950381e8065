"""The tab on which photographs are looked at: drop, results, table, and what to keep for the next training."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr

from defectdistill.app import cards, table
from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import STUDENT, Loaded
from defectdistill.app.looking import Finding, Refused, look
from defectdistill.app.session import Batch, Session, arrived, keep
from defectdistill.app.uploads import Upload
from defectdistill.app.words import MODEL_NAMES, first_time

FOLDER = Path(__file__).parent
OUTDATED = "Nothing was done: others have replaced these photographs. Drop the photograph again."


@dataclass(frozen=True)
class LookTab:
    """The components that the other tab reacts to; `redrawn` returns the values of `results` and `download`."""

    session: gr.State
    results: gr.HTML
    download: gr.DownloadButton
    redrawn: Callable[[Session], tuple]


def drop_area(identity: str, title: str, limits: Limits, multiple: bool) -> gr.HTML:
    """Return an area that takes files; its event `submit` carries `entries` for `session.arrived`."""
    return gr.HTML(
        html_template=(FOLDER / "drop.html").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / "drop.js").read_text(encoding="utf-8"),
        id=identity,
        title=title,
        limits=f"JPEG, PNG, TIFF, BMP, WebP … up to {limits.megabytes} MB and "
        f"{limits.pixels / 1e6:.4g} million pixels" + (f" each, {limits.photographs} at a time" if multiple else ""),
        multiple="multiple" if multiple else "",
        largest=limits.bytes,
        most=limits.photographs if multiple else 1,
        apply_default_css=False,
    )


def clicked_card(said: Mapping, state: Session) -> tuple[Batch, int, Upload]:
    """Return the batch, the position in it, and the photograph whose card was clicked.

    Raises gr.Error, which the page shows, where others have taken its place.
    """
    batch, position = state.batch, said.get("position", -1)
    upload = batch.upload(position) if said.get("batch") == batch.number else None
    if upload is None:
        raise gr.Error(OUTDATED, print_exception=False)
    return batch, position, upload


def look_tab(loaded: Loaded, collection: Collection, limits: Limits, uploads: Path) -> LookTab:
    """Build the tab in the present block."""
    session = gr.State(Session())
    names = [(words, model) for model, words in MODEL_NAMES.items() if model in loaded.assessors]
    drop = drop_area("dd-files", "Drop photographs here or choose files", limits, multiple=True)
    model = gr.Radio(names, value=STUDENT, label="Model", interactive=len(names) > 1)
    download = gr.DownloadButton("Download the table (CSV)", visible=False, size="sm", elem_id="dd-table")
    results = gr.HTML("", js_on_load=(FOLDER / "cards.js").read_text(encoding="utf-8"), apply_default_css=False)

    def drawn(state: Session) -> str:
        batch, known = state.batch, collection.known()
        return cards.draw(batch.entries, batch.model, loaded, known, batch.words, batch.number, state.page)

    def written(batch: Batch) -> Path:
        path = Path(tempfile.mkdtemp(dir=uploads)) / "photographs.csv"
        return table.write(path, batch.entries, loaded.classes, batch.model, batch.kept_as)

    def looked_at(files: list[Upload | Refused], name: str, progress: gr.Progress) -> list[Finding | Refused]:
        entries = []
        for position, file in enumerate(files):
            note = first_time(loaded, name) or f"Photograph {position + 1} of {len(files)}"
            progress((position, len(files)), desc=note)
            entries.append(file if isinstance(file, Refused) else look(file, name, loaded, limits))
        return entries

    def redrawn(state: Session):
        return drawn(state), gr.DownloadButton(value=written(state.batch), visible=True)

    def dropped(event: gr.EventData, state: Session, name: str, progress=gr.Progress()):  # noqa: B008 - Gradio's way
        files = arrived(event._data.get("entries", ()), uploads, limits)
        entries = looked_at(files, name, progress)
        state.batch, state.page = Batch(state.batch.number + 1, name, entries), 0
        return *redrawn(state), state

    def switched(state: Session, name: str, progress=gr.Progress()):  # noqa: B008
        if not state.batch.entries:
            return gr.skip(), gr.skip(), gr.skip()
        files = [entry.upload if isinstance(entry, Finding) else entry for entry in state.batch.entries]
        state.batch = replace(state.batch, model=name, entries=looked_at(files, name, progress))
        return *redrawn(state), state

    def clicked(event: gr.EventData, state: Session):
        said = event._data
        if said.get("action") == "page":
            state.page = min(max(0, int(said.get("page", 0))), cards.pages(state.batch.entries) - 1)
            return drawn(state), gr.skip()
        batch, position, upload = clicked_card(said, state)
        kept = keep(upload, str(said.get("choice", "")), str(said.get("other", "")), collection, limits)
        if isinstance(kept, Kept):
            batch.note(kept, position)
        else:
            batch.words[position] = kept
        return redrawn(state)

    # "multiple": by default Gradio drops in silence what is asked for while the same is on its way.
    every = {"api_visibility": "private", "trigger_mode": "multiple"}
    one_after_the_other = {"concurrency_id": "look", "show_progress_on": results}
    outputs = [results, download]
    # The session is put out again, or Gradio never lets go of what a closed tab has seen.
    drop.submit(dropped, [session, model], [*outputs, session], **every, **one_after_the_other)
    model.change(switched, [session, model], [*outputs, session], api_visibility="private", **one_after_the_other)
    results.submit(clicked, [session], outputs, **every, show_progress="hidden")
    return LookTab(session, results, download, redrawn)
