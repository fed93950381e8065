import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from browser import needs_chromium, opened
from PIL import Image
from prediction_cases import mixed, photograph, write_model

from defectdistill.prediction.options import Options
from defectdistill.prediction.output import PAGE
from defectdistill.prediction.run import load_assessor, predict
from defectdistill.prediction.sheet import THUMBNAIL


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed(tmp_path / "in")
    return tmp_path


def page(threshold=0.6, limit=120, resize="squash", paths=("in",), temperature=1.5):
    write_model(Path(), threshold, resize, temperature)
    assessor = load_assessor(Path("models/student"), Path("metrics/calibration.json"), 4)
    options = Options(batch_size=4, sheet_limit=limit)
    outcome = predict([Path(path) for path in paths], Path("models/student"), assessor, Path("out"), options)
    return Path("out", PAGE).read_text(), outcome.found


def pictures(text):
    return [
        (alt, np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))))
        for data, alt in re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]*)"', text)
    ]


@pytest.mark.parametrize("resize", ["squash", "pad"])
def test_each_photograph_stands_in_its_shape_beside_its_map_the_uncertain_first(resize):
    text, found = page(resize=resize)
    assert 0 < found.doubtful < 8
    shown = pictures(text)
    assert len(shown) == 16
    for (name, image), (about, heat) in zip(shown[::2], shown[1::2], strict=True):
        assert name.startswith("Photograph in/")
        assert about.startswith("Where the evidence for ")
        assert about.endswith(name.removeprefix("Photograph"))
        assert image.shape == heat.shape
        assert max(image.shape) == THUMBNAIL
        assert heat.std(axis=(0, 1)).max() > 1  # the map is not even
    assert [name for name, _ in shown[::2]] == [
        f"Photograph {row['path']}".replace('"', "&#34;") for row in (*found.uncertain, *found.certain)
    ]
    assert text.count('<span class="badge">uncertain</span>') == found.doubtful
    assert {image.shape for name, image in shown if name == "Photograph in/two.PNG"} == {(THUMBNAIL, 16, 3)}


def test_a_limited_page_says_so():
    text, found = page(threshold=0.99, limit=4)
    assert len(pictures(text)) == 8
    assert found.doubtful > len(found.uncertain)
    assert f"{len(found.uncertain)} of {found.doubtful}, the least certain first. This page is limited" in text


def test_without_a_threshold_everything_is_for_a_person():
    text, _ = page(threshold=None)
    assert "every answer is for a person" in text
    assert "Certain enough" not in text


def test_it_says_calibrated_only_where_there_was_a_temperature():
    assert "Confidence is calibrated there too" in page()[0]
    text, _ = page(temperature=1)
    assert "Confidence is as the model was trained" in text
    assert "calibrated there too" not in text


def test_nothing_is_loaded_from_elsewhere_and_no_name_becomes_markup():
    photograph(Path("in/<img src=x onerror=alert(1)>.png"), 0)
    text, _ = page()
    assert "<script" not in text
    assert "http" not in text
    assert "<img src=x" not in text
    assert "<b>soot" not in text
    assert "&lt;b&gt;soot" in text


def test_a_photograph_that_is_gone_by_now_is_shown_as_that(monkeypatch):
    from defectdistill.prediction import run

    def score(assessor, options):
        for name in ("in/one.jpg", "in/a/one.jpg"):
            yield_back[name] = Path(name)
        original = whole(assessor, options)

        def then_removed(found):
            yield from original(found)
            for path in yield_back.values():
                path.unlink()

        return then_removed

    yield_back, whole = {}, run.local_score
    monkeypatch.setattr(run, "local_score", score)
    text, found = page()
    assert found.images == 8
    assert text.count("could not be read any more") == 2
    assert len(pictures(text)) == 12


@needs_chromium
def test_it_fits_a_phone_and_opens_without_a_network():
    photograph(Path("in") / ("long_name_" * 20 + ".png"), 0)
    Path("in/empty.png").touch()
    page()
    with opened(360, 740) as sheet:
        sheet.context.set_offline(True)
        problems = []
        sheet.on("console", lambda message: problems.append(message.text))
        sheet.goto(Path("out", PAGE).resolve().as_uri())
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 360
        assert sheet.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert sheet.evaluate("[...document.images].every(image => image.alt)")
        assert sheet.locator("h1").count() == 1
        assert not problems
