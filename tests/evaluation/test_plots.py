"""The figures: nothing cut off, whatever the class names and counts; the same bytes in every process."""

import warnings

import numpy as np
import pytest
from evaluation_cases import NAMES, make_case, write_histories, write_rows
from matplotlib.image import imread
from matplotlib.text import Text

from defectdistill.evaluation import plot_style, plots, training_plots, trust_plots

CASES = {
    "three": (NAMES, 17),
    "two, and a dollar": (["ok", "crack $x_1$ & co"], 5),
    "twelve": ([f"class_{index}_with_a_rather_long_name"[: 9 + 2 * index] for index in range(12)], 30),
}


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that collapsed, a missing glyph, a mean of nothing
        warnings.simplefilter("ignore", ResourceWarning)  # what other files' tests left is collected here or there
        yield


def assert_nothing_is_cut_off(path):
    """Ink on the border means that a label leaves the picture."""
    pixels = imread(path)[..., :3]
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (border == 1.0).all(), f"{path.name} touches its border"
    assert (pixels < 0.5).any()


def test_a_long_remark_stays_within_the_figure(tmp_path):
    remark = "each split: 60 to learn from, 174 to test; " * 8
    with plot_style.remarked(remark), plot_style.drawing(tmp_path / "figure.png", height=3) as figure:
        figure.subplots().plot([0, 1], [0, 1])
    (text,) = [text for text in figure.findobj(Text) if "each split" in text.get_text()]
    assert text.get_text().replace("\n", " ") == remark.strip()
    figure.canvas.draw()  # at the figure's own resolution, not that of the file
    assert text.get_window_extent().x0 >= 0


@pytest.mark.parametrize("case", CASES)
def test_predictions_fit_into_their_figures(tmp_path, case):
    classes, images = CASES[case]
    test = make_case(classes, images, 0)["test"]
    for path in (
        plots.plot_entropy(tmp_path / "entropy.png", test.probs, classes, test.labels),
        plots.plot_confidence(tmp_path / "confidence.png", test.probs, classes),
        plots.plot_roc(tmp_path / "roc.png", test.probs, test.labels, classes),
        plots.plot_confusion(tmp_path / "confusion.png", test.probs, test.labels, classes),
        trust_plots.plot_reliability(tmp_path / "reliability.png", test.probs, test.probs, test.labels),
        trust_plots.plot_coverage(tmp_path / "coverage.png", test.probs, test.labels),
    ):
        assert_nothing_is_cut_off(path)


def test_certain_predictions_of_one_class_alone(tmp_path):
    """Probabilities of exactly 0 and 1, two classes never predicted, one without any image."""
    probs = {"student": np.tile([1.0, 0.0, 0.0], (4, 1)), "baseline": np.full((4, 3), 1 / 3)}
    labels = np.array([0, 0, 0, 1])
    for path in (
        plots.plot_entropy(tmp_path / "entropy.png", probs, NAMES),
        plots.plot_confidence(tmp_path / "confidence.png", probs, NAMES, labels),
        plots.plot_roc(tmp_path / "roc.png", probs, labels, NAMES),
        plots.plot_confusion(tmp_path / "confusion.png", probs, labels, NAMES),
        trust_plots.plot_reliability(tmp_path / "reliability.png", probs, None, labels),
        trust_plots.plot_coverage(tmp_path / "coverage.png", probs, labels),
    ):
        assert_nothing_is_cut_off(path)


def test_every_class_up_to_24_has_a_line_of_its_own():
    lines = [tuple(plot_style.class_line(index).values()) for index in range(24)]
    assert len(set(lines)) == 24


def test_training_figures(tmp_path):
    read = {model: training_plots.read_history(path) for model, path in write_histories(tmp_path).items()}
    classifiers = {model: read[model] for model in ("student", "baseline")}
    assert_nothing_is_cut_off(training_plots.plot_training(tmp_path / "training.png", classifiers))
    assert_nothing_is_cut_off(training_plots.plot_teacher(tmp_path / "teacher.png", read["teacher"]))
    assert_nothing_is_cut_off(training_plots.plot_loss_terms(tmp_path / "terms.png", read["student"]))


def test_training_of_one_epoch_with_missing_columns_and_empty_cells(tmp_path):
    path = write_rows(tmp_path / "h.csv", [{"epoch": 0, "val_loss": 0.5, "train_loss": "", "lambda": 0.1}])
    history = training_plots.read_history(path)
    assert np.isnan(history["train_loss"]).all()
    assert_nothing_is_cut_off(training_plots.plot_training(tmp_path / "training.png", {"student": history}))
    assert_nothing_is_cut_off(training_plots.plot_loss_terms(tmp_path / "terms.png", history))


@pytest.mark.parametrize("kept", [0, 2])
def test_the_dot_stands_on_the_epoch_that_was_kept(tmp_path, monkeypatch, kept):
    values = {"val_loss": [0.5, 0.1, 0.3], "val_dice": [0.1, 0.3, 0.2], "kept": [0.0, 0.0, 0.0]}
    values["kept"][kept] = 1.0
    history = {"epoch": np.arange(3.0)} | {name: np.array(column) for name, column in values.items()}
    dots = []

    def finish(axes, *given, **named):
        dots.extend(tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == "o")

    monkeypatch.setattr(training_plots, "_finish", finish)
    training_plots.plot_teacher(tmp_path / "teacher.png", history)
    assert dots == [(kept, values["val_loss"][kept]), (kept, values["val_dice"][kept])]


def test_a_figure_of_nothing_is_an_error(tmp_path):
    history = {"epoch": np.arange(3.0)}
    with pytest.raises(ValueError, match=r"nothing to draw in terms\.png"):
        training_plots.plot_loss_terms(tmp_path / "terms.png", history)


@pytest.mark.parametrize(
    ("text", "message"),
    [("epoch,val_loss\n", "0 rows"), ("step,val_loss\n1,2\n", "'epoch'"), ("epoch,a\n0,high\n", "column 'a'.*high")],
)
def test_a_history_that_is_none_is_refused(tmp_path, text, message):
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        training_plots.read_history(path)
