"""The tab on which masks are drawn: open a photograph, begin with a proposal, correct it, save both."""

from pathlib import Path

import gradio as gr

from defectdistill.app import cards, masks
from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import Loaded
from defectdistill.app.look_tab import FOLDER, LookTab, drop_area
from defectdistill.app.looking import Finding, Refused
from defectdistill.app.session import Session, arrived, keep, next_task
from defectdistill.app.uploads import Upload, read
from defectdistill.data.images import BadImage
from defectdistill.evaluation.plot_style import readable


def drawing_tab(
    loaded: Loaded, collection: Collection, limits: Limits, uploads: Path, tabs: gr.Tabs, look: LookTab
) -> None:
    """Build the tab in the present block; `look` is the other one, from which a photograph can be brought along."""
    drop = drop_area("dd-photograph", "Drop a photograph here, or choose one", limits, multiple=False)
    drawing = gr.HTML(
        value={},
        html_template=(FOLDER / "drawing.html").read_text(encoding="utf-8"),
        js_on_load=(FOLDER / "drawing.js").read_text(encoding="utf-8"),
        teacher="" if loaded.teacher else "disabled",
        elem_id="dd-draw",
        apply_default_css=False,
    )

    def choices() -> list[list[str]]:
        return [[name, readable(name)] for name in collection.known()]

    def opened(upload: Upload, state: Session) -> dict:
        try:
            _, image = read(upload, limits)
        except BadImage as error:
            return {"task": next_task(), "words": f"{upload.name} was refused: {error.reason}."}
        state.drawn_on = upload
        photo, empty = cards.address(masks.working_copy(image)), masks.propose(masks.EMPTY, image, loaded)
        return {
            "task": next_task(),
            "name": upload.name,
            "photo": photo,
            "mask": masks.to_address(empty),
            "choices": choices(),
        }

    def dropped(event: gr.EventData, state: Session):
        (first, *_) = arrived(event._data.get("entries", ()), uploads, limits) or [Refused("nothing", "no file came")]
        if isinstance(first, Refused):
            return state, {"task": next_task(), "words": f"{first.name} was refused: {first.reason}."}
        return state, opened(first, state)

    def brought(event: gr.EventData, state: Session):
        position = event._data.get("position", -1)
        if event._data.get("action") != "mark" or not 0 <= position < len(state.entries):
            return state, gr.skip(), gr.skip()
        entry = state.entries[position]
        return state, opened(entry.upload, state) if isinstance(entry, Finding) else gr.skip(), gr.Tabs(selected="draw")

    def done(event: gr.EventData, state: Session):
        said, upload = event._data, state.drawn_on
        if upload is None:
            return {"task": next_task(), "words": "Open a photograph first."}
        try:
            _, image = read(upload, limits)
            if said.get("action") == "propose":
                mask = masks.propose(str(said.get("kind")), image, loaded)
                words = "" if mask.any() or said["kind"] == masks.EMPTY else "Nothing was found: draw it yourself."
                return {"task": next_task(), "mask": masks.to_address(mask), "words": words}
            mask = masks.from_address(str(said.get("mask", "")), image)
        except BadImage as error:
            return {"task": next_task(), "words": f"{upload.name} cannot be read: {error.reason}."}
        except ValueError as error:
            return {"task": next_task(), "words": f"Not saved: {error}."}
        kept = keep(upload, str(said.get("choice", "")), str(said.get("other", "")), collection, limits, mask)
        words = kept.words if isinstance(kept, Kept) else kept
        return {"task": next_task(), "choices": choices(), "words": words}

    drop.submit(dropped, [look.session], [look.session, drawing], api_visibility="private", show_progress="hidden")
    look.results.submit(
        brought, [look.session], [look.session, drawing, tabs], api_visibility="private", show_progress="hidden"
    )
    drawing.submit(done, [look.session], [drawing], api_visibility="private", show_progress="hidden")
