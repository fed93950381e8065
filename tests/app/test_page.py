"""The page as a person meets it, in Chromium: real uploads, answers, refusals, masks; nothing leaves this machine."""

import csv
import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest
from app_project import CLASSES, encoded, photograph
from browser import needs_chromium, opened
from PIL import Image
from repository import environment, wait_for
from servers import free_port

from defectdistill.app.masks import propose

pytestmark = needs_chromium

# `defectdistill app`, with a note of every name that is looked up and every address that is connected to.
SERVER = """
import socket, sys
log = open(sys.argv.pop(1), "a", buffering=1)
def noted(function, where):
    def call(*arguments, **keywords):
        if not isinstance(arguments[where], (str, bytes)) or where == 0:
            print(repr(arguments[where]), file=log)
        return function(*arguments, **keywords)
    return call
socket.socket.connect = noted(socket.socket.connect, 1)
socket.socket.connect_ex = noted(socket.socket.connect_ex, 1)
socket.getaddrinfo = noted(socket.getaddrinfo, 0)
from defectdistill.cli import main
main()
"""


class Served:
    """A running page: its address, where it collects, and what its process looked for on the network."""

    def __init__(self, folder):
        self.collected, self.network, self.log = folder / "collected", folder / "network", folder / "log"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/"


@pytest.fixture(scope="module")
def served(project, tmp_path_factory):
    page = Served(tmp_path_factory.mktemp("served"))
    command = [
        *(sys.executable, "-c", SERVER, str(page.network), "app", "--port", str(page.port)),
        *("--collect", str(page.collected), "--max-upload-mb", "1", "--max-pixels", "60000"),
    ]
    with page.log.open("w") as log:
        variables = environment(TMPDIR=str(page.temporary))
        process = subprocess.Popen(command, cwd=project, env=variables, stdout=log, stderr=log)
        try:
            wait_for(lambda: process.poll() is not None or "open http" in page.log.read_text(), "the page", 0.2, 300)
            assert process.poll() is None, page.log.read_text()
            yield page
        finally:
            process.terminate()
            process.wait(20)
    assert process.returncode == 0
    assert not list(page.temporary.glob("defectdistill-*"))  # no photograph stays behind


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for number, label in enumerate(CLASSES):
        (folder / f"{label}.png").write_bytes(encoded(photograph(label, 300 + number, 96, 64)))
    (folder / "one <b>more.jpg").write_bytes(encoded(photograph("red_stain", 310, 64, 64), "JPEG"))
    (folder / "broken.png").write_bytes(encoded(photograph("red_stain", 0))[:300])
    (folder / "notes.txt").write_text("Shopping list")
    (folder / "many pixels.png").write_bytes(encoded(np.zeros((300, 300, 3), np.uint8)))
    (folder / "long.bmp").write_bytes(bytes(1_000_001))
    return folder


@pytest.fixture(scope="module")
def browser_page(served):
    """A page at desktop width that notes the addresses of all requests and all errors."""
    with opened(1280, 900) as page:
        page.requested, page.errors = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
        yield page


@pytest.fixture
def page(browser_page, served):
    """The page, freshly loaded."""
    browser_page.goto(served.address)
    browser_page.locator("#dd-files").wait_for(state="attached")
    return browser_page


@contextmanager
def another_page(page, served, width=1280):
    """Open the page once more, as another person would."""
    other = page.context.browser.new_page(viewport={"width": width, "height": 800})
    other.goto(served.address)
    yield other
    other.close()


def drop(page, files, *names):
    page.set_input_files("#dd-files", [str(files / name) for name in names])
    page.locator(".dd-results").wait_for(timeout=60_000)
    page.locator("#dd-table").wait_for(timeout=60_000)  # Gradio loads a button when it is first shown
    return page.locator(".dd-card")


def open_in_drawing(page, files, name):
    page.get_by_role("tab", name="Mark defects").click()
    page.set_input_files("#dd-photograph", str(files / name))
    page.locator(".dd-drawing:not([hidden])").wait_for(timeout=30_000)


def told(page):
    """Return what the drawing tab says of the last task."""
    page.locator("#dd-draw .dd-kept:not(:empty)").wait_for(timeout=30_000)
    return page.locator("#dd-draw .dd-kept").inner_text()


def test_photographs_are_dropped_and_each_has_its_class_and_reasons(page, files):
    cards = drop(page, files, *(f"{label}.png" for label in CLASSES))
    assert [card.locator(".dd-class").inner_text() for card in cards.all()] == [
        "Blue stain",
        "Green stain",
        "Red stain",
    ]
    first = cards.first
    assert "Certain enough to answer without a person." in first.locator(".dd-verdict").first.inner_text()
    assert first.locator(".dd-bars tr").count() == 3
    shares = [float(text.split()[0]) for text in first.locator(".dd-number").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert 99 <= sum(shares) <= 101
    assert first.locator(".dd-pictures img").count() == 2
    assert first.locator(".dd-kin strong").all_inner_texts() == ["blue stain"] * 3
    drawn = page.evaluate("[...document.querySelectorAll('.dd-card img')].map(i => i.complete && i.naturalWidth > 0)")
    assert all(drawn)
    text = page.inner_text("body")
    assert "synthetic" in text
    assert "right on 9 of 12 photographs" in text
    assert not page.errors


def test_what_is_dropped_while_others_arrive_goes_with_them(page, files):
    held = []
    page.route("**/upload**", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/upload**"):
        page.set_input_files("#dd-files", str(files / "red_stain.png"))
    page.locator(".dd-note", has_text="Receiving 1 of 1").wait_for()
    page.set_input_files("#dd-files", str(files / "blue_stain.png"))
    held[0].continue_()
    page.locator(".dd-results").wait_for(timeout=60_000)
    assert [card.locator(".dd-class").inner_text() for card in page.locator(".dd-card").all()] == [
        "Red stain",
        "Blue stain",
    ]


def test_the_other_model_gives_another_verdict(page, files):
    cards = drop(page, files, "red_stain.png")
    assert "Certain enough" in cards.locator(".dd-verdict").first.inner_text()
    page.get_by_role("radio", name="Baseline").check()
    page.get_by_text("Hand this photograph to a person.").wait_for()
    assert cards.locator(".dd-class").inner_text() == "Red stain"
    assert "a person decides everything" in cards.locator(".dd-verdict").first.inner_text()


def test_what_cannot_be_used_is_refused_with_words_and_the_rest_is_done(page, files):
    cards = drop(page, files, "broken.png", "long.bmp", "notes.txt", "many pixels.png", "one <b>more.jpg")
    assert cards.count() == 1
    assert cards.locator("h3").inner_text() == "one <b>more.jpg"
    refused = dict(line.split(": ", 1) for line in page.locator(".dd-refused li").all_inner_texts())
    assert list(refused) == ["broken.png", "long.bmp", "notes.txt", "many pixels.png"]
    for name, words in (
        ("broken.png", "truncated"), ("long.bmp", "1.0 MB, more than the limit of 1 MB"),
        ("notes.txt", "not an image but text"), ("many pixels.png", "300×300 = 90000 pixels, more than the limit"),
    ):  # fmt: skip
        assert words in refused[name]
    assert "1 photograph was looked at" in page.locator(".dd-summary").inner_text()
    assert "4 files were refused" in page.locator(".dd-summary").inner_text()


def test_a_correction_is_kept_and_stands_in_the_table(page, files, served):
    card = drop(page, files, "green_stain.png", "broken.png").first
    card.get_by_role("button", name="Keep for training").click()
    card.get_by_text("Not kept: first choose").wait_for()
    card.get_by_role("combobox").select_option("other")
    card.get_by_label("Name of the other class").fill("Rust")
    card.get_by_role("button", name="Keep for training").click()
    card.get_by_text("Kept: collected/Rust/green_stain.png").wait_for()
    assert (served.collected / "Rust/green_stain.png").read_bytes() == (files / "green_stain.png").read_bytes()
    card.get_by_role("combobox").select_option(label="blue stain")
    card.get_by_role("button", name="Keep for training").click()
    card.get_by_text("Moved from Rust: collected/blue_stain/green_stain.png").wait_for()
    assert [path.name for path in served.collected.rglob("*.png")] == ["green_stain.png"]
    with page.expect_download() as download:
        page.get_by_text("Download the table (CSV)").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        good, bad = csv.DictReader(file)
    assert (good["class"], good["kept_as"]) == ("green_stain", "collected/blue_stain/green_stain.png")
    assert "truncated" in bad["problem"]
    other = drop(page, files, "red_stain.png")  # what was chosen belongs to the earlier photograph
    other.get_by_role("heading", name="red_stain.png").wait_for()
    assert other.get_by_role("combobox").input_value() == ""
    assert "Rust" in other.get_by_role("combobox").inner_text()  # whose folder is there now


@contextmanager
def answered(page):
    """Wait until the drawing shows the answer to what is asked in the block."""
    task = "document.querySelector('#dd-draw [data-task]')?.dataset.task"
    before = page.evaluate(task)
    yield
    page.wait_for_function(f"before => {task} !== before", arg=before, timeout=30_000)


def alpha(page):
    """Return where the canvas is drawn on, bool (H, W)."""
    values = page.evaluate(
        """() => { const c = document.querySelector("canvas");
        return [c.width, c.height, [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data]]; }"""
    )
    return np.array(values[2], np.uint8).reshape(values[1], values[0], 4)[..., 3] >= 128


def test_a_mask_is_drawn_corrected_and_saved_as_it_was_drawn(page, files, served, loaded):
    open_in_drawing(page, files, "red_stain.png")
    assert not alpha(page).any()
    image = photograph("red_stain", 302, 96, 64)
    for name, kind in (("Dark marks", "threshold"), ("What the teacher sees", "teacher"), ("Nothing", "empty")):
        with answered(page):
            page.get_by_role("button", name=name, exact=True).click()
        np.testing.assert_array_equal(alpha(page), propose(kind, image, loaded))
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    scale = box["width"] / 64
    page.locator(".dd-size").fill("6")
    page.mouse.move(box["x"] + 26 * scale, box["y"] + 30 * scale)
    page.mouse.down()
    page.mouse.move(box["x"] + 44 * scale, box["y"] + 50 * scale, steps=5)
    page.mouse.up()
    by_mouse = alpha(page)
    assert by_mouse[30, 26]
    assert by_mouse[50, 44]
    assert 100 < by_mouse.sum() < 400
    page.get_by_label("Erase").check()
    page.mouse.move(box["x"] + 44 * scale, box["y"] + 50 * scale)
    page.mouse.down()
    page.mouse.up()
    erased = alpha(page)
    assert not erased[50, 44]
    assert erased[30, 26]
    page.get_by_role("button", name="Undo").click()
    np.testing.assert_array_equal(alpha(page), by_mouse)
    page.get_by_label("What does it show?").select_option(label="red stain")
    page.get_by_role("button", name="Save photograph and mask").click()
    assert told(page) == "Kept: collected/red_stain/red_stain.png, its mask as collected/masks/red_stain/red_stain.png."
    saved = np.array(Image.open(served.collected / "masks/red_stain/red_stain.png"))
    assert saved.shape == (96, 64)
    assert set(np.unique(saved)) == {0, 255}
    np.testing.assert_array_equal(saved == 255, by_mouse)
    assert (served.collected / "red_stain/red_stain.png").read_bytes() == (files / "red_stain.png").read_bytes()


def test_a_mask_can_be_drawn_by_keys_alone(page, files, served):
    drop(page, files, "blue_stain.png")
    page.get_by_role("button", name="Mark the defect").focus()
    page.keyboard.press("Enter")
    page.locator(".dd-drawing:not([hidden])").wait_for(timeout=30_000)
    page.wait_for_function("document.activeElement?.dataset?.propose === 'threshold'")
    with answered(page):
        page.keyboard.press("Enter")  # begin with the dark marks …
    assert alpha(page).any()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    with answered(page):
        page.keyboard.press("Enter")  # … or rather with nothing
    assert not alpha(page).any()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "CANVAS":
            break
    page.keyboard.down(" ")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.up(" ")
    page.keyboard.press("ArrowDown")  # moves without drawing
    drawn = alpha(page)
    assert drawn[48, 32:40].all()
    page.keyboard.press("u")
    assert not alpha(page).any()
    page.keyboard.press(" ")
    marked = alpha(page)
    assert 0 < marked.sum() < drawn.sum()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "dd-mask-label"
    page.keyboard.type("blue")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert told(page).endswith("its mask as collected/masks/blue_stain/blue_stain.png.")
    saved = np.array(Image.open(served.collected / "masks/blue_stain/blue_stain.png"))
    np.testing.assert_array_equal(saved == 255, marked)


@contextmanager
def holding(page, words):
    """Hold back what the page asks for with these words, as a busy server would; yield what waits, and let it go."""
    waiting = []

    def hold(route):
        if words in (route.request.post_data or ""):
            waiting.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    yield waiting
    page.wait_for_timeout(200)
    for route in waiting:
        route.continue_()
    page.unroute("**/queue/join*")


@contextmanager
def held_back(page, action):
    """Send what the drawing asks for by this action only at the end of the block."""
    with holding(page, f'"action":"{action}"') as waiting:
        yield
        page.wait_for_timeout(200)
        assert len(waiting) == 1
        with answered(page):
            waiting.pop().continue_()


def draw_a_dot(page):
    page.locator("canvas").focus()
    page.keyboard.press(" ")


def open_next(page, files, name):
    with answered(page):
        page.set_input_files("#dd-photograph", str(files / name))
    assert page.locator(".dd-title").inner_text() == name


def test_a_mask_is_saved_with_its_photograph_though_another_was_opened_meanwhile(page, files, served):
    open_in_drawing(page, files, "one <b>more.jpg")
    draw_a_dot(page)
    drawn = alpha(page)
    page.get_by_label("What does it show?").select_option(label="blue stain")
    with held_back(page, "save"):
        page.get_by_role("button", name="Save photograph and mask").click()
        open_next(page, files, "green_stain.png")
    assert told(page).startswith("one <b>more.jpg: Kept: collected/blue_stain/one _b_more.jpg, its mask")
    saved = np.array(Image.open(served.collected / "masks/blue_stain/one _b_more.png"))
    np.testing.assert_array_equal(saved == 255, drawn)
    assert not (served.collected / "masks/blue_stain/green_stain.png").exists()


def test_a_proposal_for_one_photograph_is_not_drawn_over_the_next(page, files, loaded):
    open_in_drawing(page, files, "blue_stain.png")
    assert propose("threshold", photograph("blue_stain", 300, 96, 64), loaded).any()
    with held_back(page, "propose"):
        page.get_by_role("button", name="Dark marks").click()
        open_next(page, files, "green_stain.png")
    assert not alpha(page).any()
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_a_photograph_opened_while_a_batch_is_looked_at_stays_the_one_that_is_drawn_on(page, files, served, tmp_path):
    open_in_drawing(page, files, "red_stain.png")
    for number in range(60):
        (tmp_path / f"{number}.png").write_bytes(encoded(photograph("green_stain", 400 + number, 96, 64)))
    with page.expect_response("**/queue/join*"):
        page.set_input_files("#dd-files", [str(path) for path in tmp_path.iterdir()])
    (tmp_path / "next.png").write_bytes(encoded(photograph("blue_stain", 500, 96, 64)))
    open_next(page, tmp_path, "next.png")
    assert not page.locator(".dd-card").count()  # it is still at it
    page.locator(".dd-card").first.wait_for(state="attached", timeout=60_000)
    draw_a_dot(page)
    page.get_by_label("What does it show?").select_option(label="blue stain")
    page.get_by_role("button", name="Save photograph and mask").click()
    assert told(page).startswith("Kept: collected/blue_stain/next.png")
    assert (served.collected / "blue_stain/next.png").read_bytes() == (tmp_path / "next.png").read_bytes()


def kept_in_table(page):
    """Return what the table says: file → where it was kept."""
    with page.expect_download() as download:
        page.get_by_text("Download the table (CSV)").click()
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        return {row["file"]: row["kept_as"] for row in csv.DictReader(file)}


def test_cards_and_table_say_where_a_photograph_lies_after_its_mask_was_saved(page, files, served, tmp_path):
    for number, name in enumerate(("first.png", "second.png")):
        (tmp_path / name).write_bytes(encoded(photograph("green_stain", 600 + number, 96, 64)))
    cards = drop(page, tmp_path, "first.png", "second.png")
    cards.first.get_by_role("combobox").select_option(label="red stain")
    cards.first.get_by_role("button", name="Keep for training").click()
    cards.first.get_by_text("Kept: collected/red_stain/first.png").wait_for()

    def save_as(label):
        draw_a_dot(page)
        page.get_by_label("What does it show?").select_option(label=label)
        with answered(page):
            page.get_by_role("button", name="Save photograph and mask").click()
        page.get_by_role("tab", name="Look at photographs").click()

    for position, name in enumerate(("first.png", "second.png")):
        cards.nth(position).get_by_role("button", name="Mark the defect").click()
        page.locator(".dd-title").get_by_text(name).wait_for()
        save_as("green stain")
    cards.first.get_by_text("Moved from red_stain: collected/green_stain/first.png, its mask").wait_for()
    cards.nth(1).get_by_text("Kept: collected/green_stain/second.png, its mask").wait_for()
    assert kept_in_table(page) == {name: f"collected/green_stain/{name}" for name in ("first.png", "second.png")}
    open_in_drawing(page, tmp_path, "first.png")  # the same photograph, not brought along from its card
    page.locator(".dd-title").get_by_text("first.png").wait_for()
    save_as("blue stain")
    cards.first.get_by_text("Moved from green_stain: collected/blue_stain/first.png").wait_for()
    assert kept_in_table(page)["first.png"] == "collected/blue_stain/first.png"


def test_a_class_more_on_one_card_leaves_what_is_chosen_on_the_others(page, files, tmp_path):
    """The list of classes grows in the middle: what was chosen moved to its neighbour, and was kept as that."""
    names = [f"{number}.png" for number in range(3)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(encoded(photograph("green_stain", 700 + number, 96, 64)))
    cards = drop(page, tmp_path, *names)
    cards.nth(1).get_by_role("combobox").select_option(label="red stain")
    cards.nth(2).get_by_role("combobox").select_option(label="Another class …")
    cards.nth(2).get_by_label("Name of the other class").fill("crack")
    cards.first.get_by_role("combobox").select_option(label="Another class …")
    cards.first.get_by_label("Name of the other class").fill("dent")
    cards.first.get_by_role("button", name="Keep for training").click()
    cards.first.get_by_text("Kept: collected/dent/0.png").wait_for()
    assert cards.nth(2).get_by_label("Name of the other class").is_visible()
    for position in (1, 2):
        cards.nth(position).get_by_role("button", name="Keep for training").click()
    cards.nth(1).get_by_text("Kept: collected/red_stain/1.png").wait_for()
    cards.nth(2).get_by_text("Kept: collected/crack/2.png").wait_for()


def test_what_is_kept_or_dropped_while_another_is_on_its_way_is_not_lost(page, files):
    """Gradio's default is to drop it in silence."""
    cards = drop(page, files, "red_stain.png", "blue_stain.png")
    with holding(page, '"action":"keep"') as waiting:
        for number, label in enumerate(("red stain", "blue stain")):
            cards.nth(number).get_by_role("combobox").select_option(label=label)
            cards.nth(number).get_by_role("button", name="Keep for training").click()
            page.wait_for_timeout(200)  # until the page knows that it is on its way
    assert len(waiting) == 2
    for number, label in enumerate(("red_stain", "blue_stain")):
        cards.nth(number).get_by_text(f"Kept: collected/{label}/{label}.png").wait_for()
    with holding(page, '"entries"') as waiting:
        for count, name in enumerate(("red_stain.png", "one <b>more.jpg"), 1):
            page.set_input_files("#dd-files", str(files / name))
            for _ in range(50):
                page.wait_for_timeout(100)
                if len(waiting) == count:
                    break
    assert len(waiting) == 2
    page.get_by_role("heading", name="one <b>more.jpg").wait_for()
    assert cards.count() == 1


def test_a_mask_that_was_not_saved_is_asked_about_before_another_photograph_takes_its_place(page, files):
    open_in_drawing(page, files, "red_stain.png")
    page.locator(".dd-title").get_by_text("red_stain.png").wait_for()
    draw_a_dot(page)
    drawn, asked = alpha(page), []

    def answer(dialog):
        asked.append(dialog.message)
        dialog.accept() if len(asked) > 1 else dialog.dismiss()

    page.on("dialog", answer)
    try:
        with answered(page):
            page.set_input_files("#dd-photograph", str(files / "blue_stain.png"))
        assert "The mask of red_stain.png is not saved" in asked[0]
        assert page.locator(".dd-title").text_content() == "red_stain.png"
        assert (alpha(page) == drawn).all()
        open_next(page, files, "blue_stain.png")
    finally:
        page.remove_listener("dialog", answer)
    assert len(asked) == 2


@pytest.mark.parametrize("button", ["Keep for training", "Mark the defect"])
def test_a_card_of_earlier_photographs_does_nothing_to_the_present_ones(page, files, served, tmp_path, button):
    (tmp_path / "now.png").write_bytes(encoded(photograph("green_stain", 700, 96, 64)))
    card = drop(page, tmp_path, "now.png")
    page.evaluate("document.querySelector('.dd-results').dataset.batch -= 1")  # as if the present ones came meanwhile
    card.get_by_role("combobox").select_option(label="red stain")
    card.get_by_role("button", name=button).click()
    page.get_by_text("Nothing was done: others have replaced these photographs").wait_for()
    assert not list(served.collected.rglob("now.png"))
    assert page.locator(".dd-drawing").is_hidden()


def test_a_file_that_is_no_photograph_is_refused_in_the_drawing_too(page, files):
    page.get_by_role("tab", name="Mark defects").click()
    for name, words in (("broken.png", "truncated"), ("long.bmp", "more than the limit of 1 MB")):
        page.set_input_files("#dd-photograph", str(files / name))
        page.get_by_text(f"{name} was refused").wait_for()
        assert words in told(page)
    assert page.locator(".dd-drawing").is_hidden()


def test_all_that_can_be_done_is_reached_by_tab_and_shows_where_one_is(page, files):
    drop(page, files, "red_stain.png")
    page.evaluate("document.activeElement.blur()")
    reached, unseen = [], []
    for _ in range(30):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const at = document.activeElement;
            const ring = node => node && getComputedStyle(node).outlineStyle !== "none";
            if (at === document.body) return ["BODY", true];
            return [at.id || at.dataset?.action || at.innerText || at.type || at.tagName,
                    ring(at) || ring(at.closest(".dd-drop"))]; }"""
        )
        if name == "BODY":
            break
        reached.append(name.strip())
        if not outline:
            unseen.append(name)
    order = ["Look at photographs", "dd-files", "radio", "dd-table", "dd-label-0", "keep", "mark"]
    places = [reached.index(name) for name in order if name in reached]
    assert len(places) == len(order), reached
    assert places == sorted(places)
    assert not unseen


@pytest.mark.parametrize("width", [375, 320])
def test_nothing_is_cut_off_at_the_width_of_a_phone(browser_page, served, files, width):
    with another_page(browser_page, served, width) as page:
        drop(page, files, "red_stain.png", "broken.png", "one <b>more.jpg")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Mark the defect").first.click()
        page.locator(".dd-drawing:not([hidden])").wait_for(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wide = page.evaluate(
            """() => [...document.querySelectorAll(".dd-drawing *, .dd-drop *")]
            .filter(node => node.offsetWidth && !node.matches(".dd-brush"))
            .filter(node => node.getBoundingClientRect().right > innerWidth + 1)
            .map(node => node.outerHTML.slice(0, 80))"""
        )
        assert not wide


def test_every_field_has_a_name(page, files):
    drop(page, files, "red_stain.png")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, canvas")]
        .filter(node => !(node.labels?.length || node.ariaLabel || node.innerText?.trim() || node.title || node.hidden))
        .map(node => node.outerHTML.slice(0, 100))"""
    )
    assert not nameless


def test_another_person_has_a_page_of_their_own(page, files, served):
    drop(page, files, "red_stain.png")
    with another_page(page, served) as other:
        cards = drop(other, files, "blue_stain.png")
        assert cards.locator(".dd-class").inner_text() == "Blue stain"
    page.get_by_role("radio", name="Baseline").check()
    page.get_by_text("Hand this photograph to a person.").wait_for()
    assert page.locator(".dd-class").inner_text() == "Red stain"


def fetch(address, data=None, **headers):
    request = urllib.request.Request(address, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_no_file_of_this_machine_is_handed_out(served, project, page, files):
    drop(page, files, "red_stain.png")
    for path in ("/etc/hostname", project / "metrics/evaluate.json", project / "models/student/model.json", served.log):
        status, body = fetch(f"{served.address}gradio_api/file={path}")
        assert status in (403, 404), (path, body)
    assert fetch(f"{served.address}gradio_api/file=../../etc/hostname")[0] in (403, 404)
    status, body = fetch(f"{served.address}gradio_api/file=http://192.0.2.1/x.png")
    assert (status, body) == (403, b"Nothing is fetched from elsewhere.")


def test_what_is_too_long_does_not_arrive(served):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(1_100_000)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    status, said = fetch(f"{served.address}gradio_api/upload", body + b"\r\n--x--\r\n", **form)
    assert status == 413, said
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Length", "6000000")
    connection.endheaders()  # refused by what it says, before anything is sent
    assert connection.getresponse().status == 413
    connection.close()


def test_other_sites_are_not_answered(served):
    assert fetch(served.address, Host="evil.example")[0] == 421
    assert fetch(f"{served.address}gradio_api/upload", b"x", Origin="https://evil.example")[0] == 403
    assert fetch(f"{served.address}gradio_api/info")[0] in (200, 404)
    named = json.loads(fetch(f"{served.address}gradio_api/info")[1] or b"{}").get("named_endpoints", {})
    assert not named  # no function is offered to programs


def test_neither_the_page_nor_its_server_asks_anybody_else(page, files, served):
    """The last one: what all tests above have asked for."""
    drop(page, files, "red_stain.png")
    page.wait_for_timeout(1000)
    outside = [url for url in page.requested if not url.startswith((served.address, "data:", "blob:"))]
    assert len(page.requested) > 50
    assert not outside
    noted = [line for line in served.network.read_text().splitlines() if "127.0.0.1" not in line]
    assert not noted
    assert "Traceback" not in served.log.read_text()
    assert not page.errors
