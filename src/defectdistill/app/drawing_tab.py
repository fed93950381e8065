"""The tab on which masks are drawn: open a photograph, begin with a proposal, correct it, save both."""

from pathlib import Path

import gradio as gr

from defectdistill.app import cards, masks
from defectdistill.app.collection import Collection, Kept
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import Loaded
from defectdistill.app.look_tab import FOLDER, LookTab, clicked_card, drop_area
from defectdistill.app.looking import Refused
from defectdistill.app.session import Session, arrived, keep, next_task
from defectdistill.app.uploads import Upload, read
from defectdistill.data.images import BadImage
from defectdistill.evaluation.plot_style import readable


def drawing_tab(
    loaded: Loaded, collection: Collection, limits: Limits, uploads: Path, tabs: gr.Tabs, look: LookTab
) -> None:
    """Build the tab in the present block; `look` is the other one, from which a photograph can be brought along."""
    drop = drop_area("dd-photograph", "Drop a photograph here or choose a file", limits, multiple=False)
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

    def opened(upload: Upload, card: tuple[int, int] | None, state: Session) -> dict:
        try:
            _, image = read(upload, limits)
        except BadImage as error:
            return {"task": next_task(), "words": f"{upload.name} was refused: {error.reason}."}
        photo, empty = cards.address(masks.working_copy(image)), masks.propose(masks.EMPTY, image, loaded)
        return {
            "task": next_task(),
            "photograph": state.open(upload, card),
            "name": upload.name,
            "photo": photo,
            "mask": masks.to_address(empty),
            "choices": choices(),
        }

    def dropped(event: gr.EventData, state: Session):
        missing = Refused("The file", "it did not arrive")
        (first, *_) = arrived(event._data.get("entries", ()), uploads, limits) or [missing]
        if isinstance(first, Refused):
            return {"task": next_task(), "words": f"{first.name} was refused: {first.reason}."}
        return opened(first, None, state)

    def brought(event: gr.EventData, state: Session):
        batch, position, upload = clicked_card(event._data, state)
        return opened(upload, (batch.number, position), state), gr.Tabs(selected="draw")

    def done(event: gr.EventData, state: Session):
        said, photograph = event._data, state.opened.get(event._data.get("photograph"))
        if photograph is None:
            words = "This photograph is not open any more: open it again."
            return {"task": next_task(), "words": words}, gr.skip(), gr.skip()
        answer, kept = answered(said, photograph.upload)
        answer |= {"task": next_task(), "photograph": said["photograph"], "name": photograph.upload.name}
        if kept is None:
            return answer, gr.skip(), gr.skip()
        state.note(kept, photograph)
        return answer, *(look.redrawn(state) if state.batch.entries else (gr.skip(), gr.skip()))

    def answered(said: dict, upload: Upload) -> tuple[dict, Kept | None]:
        try:
            _, image = read(upload, limits)
            if said.get("action") == "propose":
                mask = masks.propose(str(said.get("kind")), image, loaded)
                words = "" if mask.any() or said["kind"] == masks.EMPTY else "Nothing was found: draw a mask yourself."
                return {"mask": masks.to_address(mask), "words": words}, None
            mask = masks.from_address(str(said.get("mask", "")), image)
        except BadImage as error:
            return {"words": f"{upload.name} cannot be read: {error.reason}."}, None
        except ValueError as error:
            return {"words": f"Not saved: {error}."}, None
        kept = keep(upload, str(said.get("choice", "")), str(said.get("other", "")), collection, limits, mask)
        if isinstance(kept, Kept):
            return {"choices": choices(), "words": kept.words}, kept
        return {"words": kept}, None

    hidden = {"api_visibility": "private", "show_progress": "hidden"}
    drop.submit(dropped, [look.session], [drawing], **hidden)
    look.results.select(brought, [look.session], [drawing, tabs], **hidden)
    drawing.submit(done, [look.session], [drawing, look.results, look.download], **hidden)
