"""The report: says what it rests on, escapes what it is given, needs nothing from outside."""

import re
from html.parser import HTMLParser

import pytest
from evaluation_cases import arguments, make_case

from defectdistill.evaluation.calibration import Temperature
from defectdistill.evaluation.evaluate import evaluate_models
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.report import write_report
from defectdistill.evaluation.report_words import per_cent, signed, span, verdict
from defectdistill.evaluation.scores import metric_names

EVIL = ["<script>alert(1)</script>", "a & b", 'quote" onload="x']


class Page(HTMLParser):
    """Collects tags, the addresses that they name, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.text, self.handlers = [], [], "", []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil")
    given = arguments(folder / "histories", make_case(EVIL, 4, 3)) | {"histories": {}}  # three pictures less to draw
    evaluate_models(folder / "out", **given)
    return (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_everything_from_the_user_is_escaped(evil):
    page = Page(evil)
    assert not {"script", "b"} & set(page.tags)
    assert not page.handlers
    # A class, an image's name (its folder is the class) and a parameter.
    assert page.text.count("<script>alert(1)</script>") >= 3
    assert "A <b>title</b>" in page.text


@pytest.mark.parametrize(
    ("protocol", "heading"), [("random", "DIVIDED AT RANDOM"), ("after_augmentation", "DIVIDED AFTER AUGMENTATION")]
)
def test_a_protocol_that_flatters_is_said_in_red(tmp_path, protocol, heading):
    given = minimal()
    write_report(tmp_path / "honest.html", **given)
    write_report(tmp_path / "report.html", **given | {"data": given["data"] | {"divided": protocol}})
    honest, page = (Page((tmp_path / name).read_text(encoding="utf-8")).text for name in ("honest.html", "report.html"))
    assert heading in page
    assert "pipelines/cable_protocols measures by how much" in page
    assert "images of one group may be on several sides of the split" in page
    assert heading not in honest
    assert "images of one group are never on two sides of the split" in honest


def test_groups_that_are_on_several_sides_all_the_same_are_counted_in_red(tmp_path):
    """A test split that came with the photographs may share objects with the rest (prepare.protocol: given)."""
    given = minimal()
    data, leaks = given["data"] | {"divided": "given"}, given["leaks"] | {"shared_groups": 3}
    write_report(tmp_path / "report.html", **given | {"data": data, "leaks": leaks})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<strong class="leak">3 groups have images on several sides of the split</strong>' in page
    assert "never on two sides" not in page


ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></pre></td><script>alert(1)</script>",
    "javascript:alert(1)",
    "<svg/onload=alert(1)>",
    "<!-- -->",
    "{{ 7*7 }}{% raw %}",
    "&lt;script&gt;&#60;b&#62;",
    "<iframe srcdoc='<script>alert(1)</script>'>",
]


class Skeleton(HTMLParser):
    """Collects the page's elements with their attributes; the words of pictures' captions, which are text, apart."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.captions, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.captions += [value for name, value in attrs if name == "alt"]
        self.elements.append((tag, [(name, value) for name, value in attrs if name != "alt"]))

    def handle_endtag(self, tag):
        self.elements.append((f"/{tag}", []))

    def handle_comment(self, data):
        self.elements.append(("comment", data))

    def handle_decl(self, decl):
        self.elements.append(("declaration", decl))

    def handle_data(self, data):
        self.text += data


def written_with(folder, text):
    """Return a report in which every text that can come from a user is `text`."""
    picture = folder / "picture.png"
    picture.write_bytes(b"x")
    given = minimal()
    name = f"{text}/1.png"
    data = make_case([text, "b"], 2, 1)["data"] | {"source": text, "protocol": text, "resize": text}
    copy = {"name": name, "label": text, "other": name, "other_label": text, "split": "train", "relation": "mirrored"}
    copies = data["near_duplicates"] | {"doubtful": [name]}
    rows = [
        {"model": model, "name": name, "true": text, "predicted": "b", "confidence": "0.9"}
        for model in ("student", "baseline")
    ]
    given |= {
        "title": text, "data": data | {"masks": data["masks"] | {"coding": text}, "near_duplicates": copies},
        "leaks": {
            "unlabelled": True, "learned_from": 9, "test": 2, "even": 0, "shared_groups": 1,
            "pairs": [copy | {"similarity": 0.9}],
        },
        "predictions": rows,
        "results": made_results([text, "b"]), "figures": [(text, picture)],
        "trust_figures": {"calibration": [(text, picture)], "selective": [], "attention": []},
        "contact_sheets": [(text, picture)], "params": {f"a.{text}": text, "b": [text], "c": {text: text}},
        "reproduce": [text],
    }  # fmt: skip
    write_report(folder / "report.html", **given)
    return Skeleton((folder / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_text_becomes_an_element_or_an_attribute(tmp_path, attack):
    harmless, page = written_with(tmp_path, "harmless"), written_with(tmp_path, attack)
    assert page.elements == harmless.elements
    assert page.captions == [attack] * 3
    readable = attack.replace("_", " ").strip()
    assert page.text.count(readable) + page.text.count(repr(attack)) >= harmless.text.count("harmless")


def test_nothing_is_fetched_and_no_path_of_the_machine_is_told(evil, tmp_path):
    assert all(address.startswith("data:image/png;base64,") for address in Page(evil).addresses)
    assert len(Page(evil).addresses) == 9
    style = evil[evil.index("<style>") : evil.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)
    assert str(tmp_path.parent.parent) not in evil


def test_says_what_the_data_are(evil):
    text = " ".join(Page(evil).text.split())
    for words in (
        "stratified by class, 70 / 15 / 15", "2 files, with the reasons in rejected.csv", "0/255",
        "80 given, 4 empty (without defects: fine), 7 made by threshold, 3 images without; "
        "1 given for a defect but empty",
        "3 images, only predicted on", "4 test images",
        "on the 3 test images that have a mask or are of a class without defects",
        "Masks made by threshold are no truth", "make repro", "distill.beta",
        "Figure 4", "Figure 5", "Figure 7", "Figure 8",
    ):  # fmt: skip
        assert words in text, words
    assert "SYNTHETIC" not in text


@pytest.mark.parametrize("words", [True, False])
def test_says_that_the_student_was_taught_on_unlabelled_images(tmp_path, words):
    given = arguments(tmp_path / "h", make_case(["ok", "bad"], 4, 3)) | {"histories": {}}
    given["leaks"] = given["leaks"] | {"unlabelled": words}
    evaluate_models(tmp_path / "out", **given)
    text = " ".join(Page((tmp_path / "out/report.html").read_text()).text.split())
    assert ("how decided it is there says less" in text) == words
    assert ("3 images, only predicted on" in text) != words


def made_results(classes, **changes):
    """Return the least that `evaluation_results` can give, without any interval."""
    metrics = metric_names(classes)
    per_class = {f"{kind}/{name}": 1.0 for kind in ("images", "confidence", "entropy") for name in metrics}
    test = {"images": 1, "accuracy": 1.0, "macro_f1": 1.0, "average_confidence": 0.9, "average_entropy": 0.1}
    model = {
        "test": test | per_class, "selective": {"validation_above": 0.5, "target_accuracy": 0.95},
        "unlabelled": {"images": 0}, "intervals": {},
    }  # fmt: skip
    return {
        "student": model, "baseline": model, "teacher": {}, "difference": {"intervals": {}},
        "paired": {"student_only": 0, "baseline_only": 0, "p_value": 1.0},
    } | changes  # fmt: skip


def minimal(**changes):
    rows = [
        {"model": model, "name": "x.png", "true": "a", "predicted": "a", "confidence": "0.9"}
        for model in ("student", "baseline")
    ]
    chosen = Chosen(Temperature(1.0, "off"), None, 0.95, 12, 0, 0)
    return {
        "title": "t", "results": made_results(["a"]),
        "data": make_case(["a"], 1, 0)["data"], "leaks": make_case(["a"], 1, 0)["leaks"],
        "groups": 1,
        "chosen": dict.fromkeys(("student", "baseline"), chosen), "predictions": rows,
        "trust_figures": {"calibration": [], "selective": [], "attention": []},
        "figures": [], "contact_sheets": [], "params": {}, "reproduce": [],
    } | changes  # fmt: skip


def test_synthetic_data_carry_a_banner(tmp_path):
    data = minimal()["data"] | {"synthetic": True, "source": "synthetic"}
    write_report(tmp_path / "report.html", **minimal(data=data))
    page = (tmp_path / "report.html").read_text()
    assert page.index("SYNTHETIC DATA") < page.index('class="verdict"')


def test_copies_of_test_photographs_are_named_in_red(tmp_path):
    pair = {
        "name": "a/test.png", "label": "a", "other": "b/train.png", "other_label": "b", "split": "val",
        "relation": "turned by 180°", "similarity": 0.912,
    }  # fmt: skip
    leaks = {
        "learned_from": 24,
        "test": 6,
        "even": 2,
        "shared_groups": 0,
        "pairs": [pair, pair | {"other": "b/second.png"}],
    }
    write_report(tmp_path / "report.html", **minimal(leaks=leaks))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = " ".join(Page(html).text.split())
    assert "1 of 6 test photographs has a near copy among those that were learned from: the scores flatter" in text
    assert "1 test photograph with a near copy among the photographs that were learned from (24 × 6 compared" in text
    assert "compared; 2 photographs" in text
    assert html.index("TEST PHOTOGRAPHS IN TRAINING") < html.index('class="verdict"')
    row = html[html.index('<tr class="leak">') :]
    assert re.sub(r"<[^>]+>", " ", row[: row.index("</tr>")]).split() == [
        "a/test.png", "a", "b/train.png", "b", "val", "turned", "by", "180°", "0.912",
    ]  # fmt: skip
    alarm = re.search(r"--alarm-ink: #(\w\w)(\w\w)(\w\w)", html)
    red, green, blue = (int(part, 16) for part in alarm.groups())
    assert red > 4 * max(green, blue)
    assert ".leak, tr.leak > td { color: var(--alarm-ink); }" in html


def test_without_copies_the_report_says_what_was_compared(tmp_path):
    write_report(tmp_path / "report.html", **minimal())
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = " ".join(Page(html).text.split())
    assert "no near copy of a test photograph among those that were learned from (24 × 1 compared)" in text
    assert "TEST PHOTOGRAPHS IN TRAINING" not in text
    assert "5 photographs in 2 sets, each in one group; listed in near_duplicates.csv; 4 too even" in text
    assert "1 set of near copies under two labels" in text
    assert "x.png (a), y.png (a)" in text


def test_a_search_that_was_switched_off_is_told(tmp_path):
    data = minimal()["data"]
    copies = data["near_duplicates"] | {"searched": False, "two_labels": 0, "doubtful": []}
    write_report(tmp_path / "report.html", **minimal(data=data | {"near_duplicates": copies}))
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "not looked for before the split (prepare.near_duplicates: false)" in text
    assert "under two labels" not in text


def test_unknown_values_are_dashes_and_empty_sections_are_absent(tmp_path):
    write_report(tmp_path / "report.html", **minimal())
    text = Page((tmp_path / "report.html").read_text()).text
    assert "–" in text
    assert "Both models are right on every test image." in text
    assert "There are no unlabelled images." in text
    assert "Unlabelled set" not in text
    assert "Teacher" not in text
    assert "What the models look at" not in text
    assert "Small figures" not in text


def test_a_picture_of_an_unknown_type_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x\.svg is no picture"):
        write_report(tmp_path / "report.html", **minimal(figures=[("c", tmp_path / "x.svg")]))


def paired(student_only, baseline_only, p_value, groups=None):
    differing = student_only + baseline_only if groups is None else groups
    counts = {"student_only": student_only, "baseline_only": baseline_only, "groups_differing": differing}
    return counts | {"p_value": p_value}


def test_verdict_inside_the_noise():
    text = verdict({"macro_f1": 0.881}, {"macro_f1": 0.765}, paired(3, 1, 0.625), 17)
    assert text == (
        "The distilled student reaches a macro-F1 of 0.881 against 0.765 for the baseline without a teacher, 11.6 "
        "points more, on 17 test images. One image is worth 5.9 points of accuracy here, and the models differ on 4 "
        "images (3 that only the student gets right, 1 only the baseline): a difference of so few images is inside "
        "the noise (exact McNemar test, p = 0.62)."
    )


@pytest.mark.parametrize(
    ("student", "pair", "images", "words"),
    [
        (0.7, paired(0, 1, 1.0), 10, "20.0 points less, on 10 test images"),
        (0.9, paired(0, 0, 1.0), 10, "no difference, on 10 test images"),
        (0.9, paired(0, 0, 1.0), 1, "on 1 test image. One image is worth 100.0 points"),
        (0.9, paired(1, 0, 1.0), 10, "differ on 1 image (1 that"),
        (0.9, paired(0, 0, 1.0), 10, "these images tell no difference"),
        (0.9, paired(8, 0, 0.5, groups=2), 10, "inside the noise (exact sign-flip test by group, p = 0.50)"),
        (
            0.99,
            paired(20, 1, 0.00002),
            200,
            "chance alone seldom gives so uneven a split (exact McNemar test, p < 0.005)",
        ),
    ],
)
def test_verdict_in_other_cases(student, pair, images, words):
    assert words in verdict({"macro_f1": student}, {"macro_f1": 0.9}, pair, images)


def test_signed():
    assert [signed(value) for value in (0.0514, -0.4, 0.0, -0.0001, None)] == [
        "+0.051",
        "−0.400",
        "0.000",
        "0.000",
        "–",
    ]


def test_span():
    assert [span(ends) for ends in ([-0.125, 1.0], [-0.004, 0.0], None)] == ["−0.12 to 1.00", "0.00 to 0.00", ""]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.57, "57"), (0.95, "95"), (0.995, "99.5"), (0.925, "92.5"), (0.9996, "99.96"), (0.612345678, "61"),
        (0.99678901, "99.7"), (0.999999, "99.99"), (1 - 1e-15, "99.99"), (1.0, "100"), (0.0, "0"), (1 / 3, "33"),
    ],
)  # fmt: skip
def test_per_cent_has_the_decimals_that_it_takes(share, expected):
    assert per_cent(share) == f"{expected}\u00a0%"


def test_per_cent_beside_another():
    assert per_cent(0.92345678, beside=0.92412345) == "92.3\u00a0%"
    assert per_cent(0.92412345, beside=0.92345678) == "92.4\u00a0%"
    assert per_cent(0.92345678, beside=0.92345678) == "92\u00a0%"
    assert per_cent(0.92345678, 1, beside=0.92345679) == "92.346\u00a0%"
    assert per_cent(1.0, 1) == "100.0\u00a0%"
    assert per_cent(0.508830, 1) == "50.9\u00a0%"
