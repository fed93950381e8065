"""The tab on which photographs are looked at: drop, results, table, and what to keep for the next training."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from defectdistill.app import cards, table
from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import STUDENT, Loaded
from defectdistill.app.looking import Finding, Refused, look
from defectdistill.app.session import Session, arrived, keep
from defectdistill.app.uploads import Upload
from defectdistill.app.words import MODEL_NAMES, first_time

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class LookTab:
    """The components that the other tab reacts to."""

    session: gr.State
    results: gr.HTML


def drop_area(identity: str, title: str, limits: Limits, multiple: bool) -> gr.HTML:
    """Return an area that takes files; its event `submit` carries `entries` for `session.arrived`."""
    return gr.HTML(
        html_template=(FOLDER / "drop.html").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / "drop.js").read_text(encoding="utf-8"),
        id=identity,
        title=title,
        limits=f"JPEG, PNG, TIFF, BMP, WebP … up to {limits.megabytes} MB and "
        f"{limits.pixels / 1e6:.4g} million pixels" + (f", {limits.photographs} at once" if multiple else ""),
        multiple="multiple" if multiple else "",
        largest=limits.bytes,
        most=limits.photographs if multiple else 1,
        apply_default_css=False,
    )


def look_tab(loaded: Loaded, collection: Collection, limits: Limits, uploads: Path) -> LookTab:
    """Build the tab in the present block."""
    session = gr.State(Session())
    names = [(words, model) for model, words in MODEL_NAMES.items() if model in loaded.assessors]
    drop = drop_area("dd-files", "Drop photographs here, or choose them", limits, multiple=True)
    model = gr.Radio(names, value=STUDENT, label="Which model looks", interactive=len(names) > 1)
    download = gr.DownloadButton("Download the table (CSV)", visible=False, size="sm", elem_id="dd-table")
    results = gr.HTML("", js_on_load=(FOLDER / "cards.js").read_text(encoding="utf-8"), apply_default_css=False)

    def drawn(state: Session) -> str:
        known = collection.known()
        return cards.draw(state.entries, state.model, loaded, known, state.words, state.batch, state.page)

    def written(state: Session) -> Path:
        path = Path(tempfile.mkdtemp(dir=uploads)) / "photographs.csv"
        return table.write(path, state.entries, loaded.classes, state.model, state.kept_as)

    def looked_at(files: list[Upload | Refused], state: Session, progress: gr.Progress) -> list[Finding | Refused]:
        entries = []
        for position, file in enumerate(files):
            note = first_time(loaded, state.model) or f"Photograph {position + 1} of {len(files)}"
            progress((position, len(files)), desc=note)
            entries.append(file if isinstance(file, Refused) else look(file, state.model, loaded, limits))
        return entries

    def everything(state: Session):
        return state, drawn(state), gr.DownloadButton(value=written(state), visible=True)

    def dropped(event: gr.EventData, state: Session, name: str, progress=gr.Progress()):  # noqa: B008 - Gradio's way
        files = arrived(event._data.get("entries", ()), uploads, limits)
        state = Session(model=name, batch=state.batch + 1, drawn_on=state.drawn_on)
        state.entries = looked_at(files, state, progress)
        return everything(state)

    def switched(state: Session, name: str, progress=gr.Progress()):  # noqa: B008
        state.model = name
        if not state.entries:
            return state, gr.skip(), gr.skip()
        files = [entry.upload if isinstance(entry, Finding) else entry for entry in state.entries]
        state.entries = looked_at(files, state, progress)
        return everything(state)

    def clicked(event: gr.EventData, state: Session):
        action, position = event._data.get("action"), event._data.get("position", -1)
        if action == "page":
            state.page = min(max(0, int(event._data.get("page", 0))), cards.pages(state.entries) - 1)
            return state, drawn(state), gr.skip()
        if action != "keep" or not 0 <= position < len(state.entries):
            return state, gr.skip(), gr.skip()
        entry, said = state.entries[position], event._data
        if isinstance(entry, Refused):
            return state, gr.skip(), gr.skip()
        kept = keep(entry.upload, str(said.get("choice", "")), str(said.get("other", "")), collection, limits)
        state.words[position] = kept.words if isinstance(kept, Kept) else kept
        if isinstance(kept, Kept):
            state.kept_as[position] = kept.photograph
        return everything(state)

    outputs = [session, results, download]
    drop.submit(dropped, [session, model], outputs, api_visibility="private", show_progress_on=results)
    model.change(switched, [session, model], outputs, api_visibility="private", show_progress_on=results)
    results.submit(clicked, [session], outputs, api_visibility="private", show_progress="hidden")
    return LookTab(session, results)
