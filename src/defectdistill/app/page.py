"""The page: its head with what is known of the models, and its two tabs. Gradio carries it."""

from html import escape
from pathlib import Path

import gradio as gr

from defectdistill.app.collection import Collection
from defectdistill.app.drawing_tab import drawing_tab
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import BASELINE, STUDENT, Loaded
from defectdistill.app.look_tab import look_tab
from defectdistill.app.words import MODEL_NAMES, leak_words, listed, score_words, synthetic_words

FOLDER = Path(__file__).parent
STYLE = FOLDER / "page.css"
TITLE = "What does this surface show?"
HOURS = 12  # that an upload is kept at most


def build_page(loaded: Loaded, collection: Collection, limits: Limits, uploads: Path) -> gr.Blocks:
    """Return the page; `uploads` is the folder in which Gradio puts what arrives."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, HOURS * 3600)) as page:
        gr.HTML(head(loaded), js_on_load=None, apply_default_css=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Look at photographs", id="look"):
                look = look_tab(loaded, collection, limits, uploads)
            with gr.Tab("Mark defects", id="draw"):
                drawing_tab(loaded, collection, limits, uploads, tabs, look)
    return page


def head(loaded: Loaded) -> str:
    """Return the HTML above the tabs."""
    evaluation = loaded.evaluation
    synthetic, leak = synthetic_words(evaluation), leak_words(evaluation)
    warnings = "".join(f'<p class="dd-verdict dd-ask">{escape(text)}</p>' for text in (synthetic, leak) if text)
    scores = "".join(
        f"<dt>{escape(MODEL_NAMES[model])}</dt><dd>{escape(score_words(evaluation, model))}</dd>"
        for model in (STUDENT, BASELINE)
        if model in loaded.assessors
    )
    missing = "".join(f"<li>{escape(line)}</li>" for line in loaded.missing)
    return (
        f'<header class="dd-head"><h1>{TITLE}</h1>'
        f"<p>Drop photographs; a model tells {escape(listed(loaded.classes))} apart, says how sure it is and when "
        "a person should decide. Photographs stay on the computer that runs this page.</p>"
        f"{warnings}<dl>{scores}</dl>{f'<ul class=dd-refused>{missing}</ul>' if missing else ''}</header>"
    )


def theme() -> gr.themes.Base:
    """Return Gradio's plain theme with the system's own fonts: none is fetched."""
    return gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )
