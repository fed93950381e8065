import csv
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from app_project import CLASSES, photograph

from defectdistill.app import cards, table
from defectdistill.app.looking import Finding, Refused
from defectdistill.app.neighbours import Nearest, Neighbour
from defectdistill.app.uploads import Upload
from defectdistill.app.words import leak_words, reason, record, score_words, summary_words, synthetic_words, verdict

PICTURE = photograph("red_stain", 0)
ATTACK = "<img src=x onerror=alert(1)>\"'${alert(2)}{{3}}"


def finding(uncertain=False, far=False, known=None, name="a.png", predicted="red_stain", classes=CLASSES):
    shares = dict.fromkeys(classes, 0.1) | {predicted: 0.8}
    nearest = Nearest((Neighbour(name, predicted, 0.25, PICTURE),), far, known)
    return Finding(Upload(name, None), predicted, shares, 0.8, 0.64, uncertain, PICTURE, PICTURE, nearest)


def test_verdicts_and_reasons():
    measured = {"test": {"images": 12}, "selective": {"below_threshold": 0.5, "accuracy_above": 5 / 6}}
    assert verdict(finding()) == "Certain enough to answer without a person."
    assert verdict(finding(uncertain=True)) == "Hand this photograph to a person."
    assert verdict(finding(far=True)) == "Certain, but unfamiliar: have a person check it."
    assert reason(finding(), 0.6, 0.95, measured) == (
        "The model is 80\u00a0% sure of “red stain”. At 60\u00a0% or more it may answer by itself; in the test it was "
        "this sure for 6 of 12 photographs and right on 5 of them."
    )
    assert reason(finding(uncertain=True), 0.9, 0.95, measured).endswith("Below 90\u00a0% a person decides.")
    nearly = replace(finding(uncertain=True), confidence=0.9249123)
    assert reason(nearly, 0.925, 0.95, measured) == (
        "The model is 92.49\u00a0% sure of “red stain”. Below 92.5\u00a0% a person decides."
    )
    assert "gave 99.5\u00a0% correct" in reason(finding(uncertain=True), None, 0.995, {})
    assert "gave 95\u00a0% correct answers for 5 or more photographs when it was checked" in reason(
        finding(uncertain=True), None, 0.95, {}
    )
    assert record({"test": {"images": 12}, "selective": {"below_threshold": 1.0}}) == (
        "; in the test it was never this sure (12 photographs)"
    )
    assert record({}) == ""


def test_scores_come_with_what_they_rest_on():
    scored = {"test": {"accuracy": 0.75}, "intervals": {"test": {"accuracy": [0.5, 0.9]}}}
    evaluation = {"student": scored, "data": {"test_images": 12, "synthetic": True, "test_images_with_a_copy": 2}}
    words = score_words(evaluation, "student")
    assert "right on 9 of 12 photographs that it had never seen (75\u00a0%)" in words
    assert "anywhere from 50\u00a0% to 90\u00a0%" in words
    assert "has not been measured" in score_words({}, "student")
    assert "has not been measured" in score_words(evaluation, "baseline")
    assert "synthetic" in synthetic_words(evaluation)
    assert leak_words(evaluation) == (
        "2 of the test photographs have a near copy among those learned from: the test score is too optimistic."
    )
    assert leak_words({"data": {"test_images_with_a_copy": 1}}).startswith("1 of the test photographs has a near copy")
    assert synthetic_words({}) == leak_words({}) == ""


def test_a_batch_is_summed_up():
    assert summary_words(1, 0, 0) == "1 photograph was looked at, none needs a person's decision."
    assert summary_words(3, 2, 1) == "3 photographs were looked at, 2 need a person's decision, 1 file was refused."
    assert summary_words(0, 0, 2) == "0 photographs were looked at, 2 files were refused."


def test_what_is_unfamiliar_counts_among_those_that_need_a_person(loaded):
    entries = [finding(), finding(uncertain=True), finding(far=True), finding(uncertain=True, far=True)]
    assert "4 photographs were looked at, 3 need a person" in drawn(loaded, entries)


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, sorted(name for name, _ in attrs)))

    def handle_data(self, data):
        self.text += data


def drawn(loaded, entries, **changes):
    given = {"kept": {}, "batch": 1, "page": 0, "choices": CLASSES} | changes
    return cards.draw(entries, "student", loaded, **given)


def test_a_card_shows_what_was_found(loaded):
    page = Page(drawn(loaded, [finding(), Refused("b.png", "truncated")], kept={0: "Kept: here."}))
    text = " ".join(page.text.split())
    for words in (
        "1 photograph was looked at", "b.png: truncated", "Red stain", "Certain enough", "80 %", "10 %",
        "distance 0.25", "Kept: here.", "Nobody knows", "Another class", "blue stain",
    ):  # fmt: skip
        assert words in text.replace("\u00a0", " "), words
    assert sum(tag == "article" for tag, _ in page.tags) == 1
    assert sum(tag == "img" for tag, _ in page.tags) == 3
    labels = [names for tag, names in page.tags if tag == "select"]
    assert labels == [["id"]]


def test_all_text_is_escaped(loaded):
    classes = [ATTACK, *CLASSES[1:]]

    def page(text, names):
        entries = [finding(name=text, predicted=names[0], classes=names, known=text), Refused(text, text)]
        return Page(drawn(loaded, entries, kept={0: text}, choices=names))

    harmless, attacked = page("harmless", ["harmless", *CLASSES[1:]]), page(ATTACK, classes)
    assert attacked.tags == harmless.tags
    assert attacked.text.count("alert(2)") >= 5


def test_many_photographs_take_pages(loaded):
    entries = [finding(name=f"{number}.png") for number in range(23)] + [Refused("x", "y")]
    shown = [re.findall(r'id="dd-name-(\d+)"', drawn(loaded, entries, page=number)) for number in range(3)]
    assert [int(position) for page in shown for position in page] == list(range(23))
    assert cards.pages(entries) == 3
    assert "Page 2 of 3" in drawn(loaded, entries, page=1)
    assert "Refused" not in drawn(loaded, entries, page=1)
    assert cards.pages([]) == 1


@pytest.mark.parametrize(("value", "words"), [(0.0, "0"), (0.00071, "0.0007"), (0.0312, "0.031"), (1.234, "1.23")])
def test_distances_have_digits_that_count(value, words):
    assert cards.distance(value) == words


def test_the_table_has_a_row_for_each_file_and_no_formula(tmp_path):
    entries = [finding(name="=1+1.png", uncertain=True), Refused("ü.png", "truncated"), finding(far=True)]
    path = table.write(tmp_path / "t.csv", entries, CLASSES, "student", {2: "collected/red_stain/a.png"})
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["'=1+1.png", "ü.png", "a.png"]
    assert [row["hand_to_a_person"] for row in rows] == ["yes", "", "no"]
    assert [row["unfamiliar"] for row in rows] == ["no", "", "yes"]
    assert rows[0]["probability/red_stain"] == rows[0]["confidence"] == "0.800000"
    assert rows[1]["problem"] == "truncated"
    assert rows[2]["kept_as"] == "collected/red_stain/a.png"
    assert not np.any([None in row or None in row.values() for row in rows])
