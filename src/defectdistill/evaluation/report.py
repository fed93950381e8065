"""One self-contained HTML page that says what was measured, on what data, and how far it can be trusted.

Styles and pictures are inside the file; it needs no network and no script. It holds no time and no path of the
machine: same inputs, same bytes.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from defectdistill.evaluation.plot_style import heading, readable
from defectdistill.evaluation.scores import metric_names

Figures = Sequence[tuple[str, Path]]

_SCORES = {
    "accuracy": "Accuracy", "macro_f1": "Macro-F1", "macro_recall": "Macro recall", "g_mean": "G-mean of the recalls",
    "macro_auc": "Macro AUC", "loss": "Loss, nats (lower is better)",
}  # fmt: skip
_CLASS_SCORES = {"f1": "F1", "recall": "Recall", "precision": "Precision", "auc": "AUC"}
_TEACHER = {
    "dice": "Dice, all pixels together",
    "iou": "IoU, all pixels together",
    "image_dice": "Dice, mean of images",
}
_IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
_MOST_MISTAKES = 40
_MODELS = ("student", "baseline")


def write_report(
    path: Path,
    *,
    title: str,
    data: Mapping[str, Any],
    leaks: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, float]],
    paired: Mapping[str, float],
    uncertainty: Mapping[str, Mapping[str, Mapping[str, Any]]],
    teacher: Mapping[str, float],
    predictions: Sequence[Mapping[str, str]],
    figures: Figures,
    contact_sheets: Figures,
    params: Mapping[str, Any],
    reproduce: Sequence[str],
) -> None:
    """Write the report as one HTML file; every text that comes from the user is escaped.

    `data` is the prepared data's summary.json, `leaks` from `find_leaks`. `scores` has the keys student and baseline,
    each as from `classification_scores`; `paired` is from `paired_comparison`; `uncertainty` is {model: {"test": …,
    "unlabelled": …}} from `uncertainty.summary`; `teacher` from `segmentation_scores`, empty where there is none.
    `predictions` are test rows as from `prediction_rows` for both models. `figures` and `contact_sheets` are
    (caption, PNG, JPEG or WebP file); `params` has flat names; `reproduce` are shell commands. `path`'s folder must
    exist. Raises ValueError for a picture of another type.
    """
    environment = Environment(
        loader=PackageLoader("defectdistill.evaluation", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"number": number, "signed": signed, "readable": readable, "heading": heading}
    images = uncertainty["student"]["test"]["images"]
    mistakes = _mistakes(predictions)
    page = environment.get_template("report.html").render(
        title=title,
        data=data,
        leaks=leaks,
        leaked=len({pair["name"] for pair in leaks["pairs"]}),
        splits=_splits(data),
        count_rows=_count_rows(data),
        verdict=verdict(scores["student"], scores["baseline"], paired, images),
        images=images,
        scores=scores,
        score_rows=_rows(scores, _SCORES),
        class_rows=_class_rows(scores, uncertainty["student"]["test"]["classes"]),
        class_scores=_CLASS_SCORES,
        uncertainty_tables=_uncertainty_tables(uncertainty, data["classes"]),
        teacher=teacher,
        teacher_rows=[(words, teacher[name]) for name, words in _TEACHER.items() if name in teacher],
        mistakes=mistakes[:_MOST_MISTAKES],
        more_mistakes=max(0, len(mistakes) - _MOST_MISTAKES),
        figures=[(caption, _data_uri(file)) for caption, file in figures],
        contact_sheets=[(caption, _data_uri(file)) for caption, file in contact_sheets],
        params=params,
        reproduce=reproduce,
    )
    path.write_text(page, encoding="utf-8", newline="\n")


def verdict(
    student: Mapping[str, float], baseline: Mapping[str, float], paired: Mapping[str, float], images: int
) -> str:
    """Return two sentences: who has the higher macro-F1 and by how much, and how little that many images can tell.

    `student` and `baseline` hold `macro_f1`, `paired` is from `paired_comparison`, `images` counts the test split.
    """
    points = round(100 * (student["macro_f1"] - baseline["macro_f1"]), 1)
    scores = f"{number(student['macro_f1'])} against {number(baseline['macro_f1'])} for the baseline without a teacher"
    compared = f"{abs(points):.1f} points {'more' if points > 0 else 'less'}" if points else "no difference"
    counted = f"{images} test image{'s' if images != 1 else ''}"
    first = f"The distilled student reaches a macro-F1 of {scores}, {compared}, on {counted}."

    differing = paired["student_only"] + paired["baseline_only"]
    worth = f"One image is worth {100 / images:.1f} points of accuracy here, and"
    if not differing:
        return f"{first} {worth} both models are right on the very same images: these images tell no difference."
    split = f"{paired['student_only']} that only the student gets right, {paired['baseline_only']} only the baseline"
    p_value = f"= {paired['p_value']:.2f}" if paired["p_value"] >= 0.005 else "< 0.005"
    test = f"exact McNemar test, p {p_value}"
    if paired["p_value"] >= 0.05:
        judged = f"a difference of so few images is inside the noise ({test})."
    else:
        judged = f"chance alone seldom gives so uneven a split ({test}), though it is one split and one training run."
    noun = "image" if differing == 1 else "images"
    return f"{first} {worth} the models differ on {differing} {noun} ({split}): {judged}"


def number(value: float | None) -> str:
    """Return a score with three decimals, a dash for None."""
    return "–" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with three decimals and its sign (a true minus; none for zero), a dash for None."""
    if value is None:
        return "–"
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _rows(scores: Mapping[str, Mapping[str, float]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return one table row per score that a model has: words, student, baseline, difference (None where unknown)."""
    rows = []
    for name, words in names.items():
        student, baseline = scores["student"].get(name), scores["baseline"].get(name)
        if student is not None or baseline is not None:
            difference = None if student is None or baseline is None else student - baseline
            rows.append({"words": words, "student": student, "baseline": baseline, "difference": difference})
    return rows


def _class_rows(
    scores: Mapping[str, Mapping[str, float]], test: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Return one table row per class: its name, its test images, and (student, baseline) of each score."""
    return [
        {
            "class": name,
            "images": test[name]["images"],
            "values": [[scores[model].get(f"{score}/{metric}") for model in _MODELS] for score in _CLASS_SCORES],
        }
        for name, metric in zip(test, metric_names(list(test)), strict=True)
    ]


def _splits(data: Mapping[str, Any]) -> list[str]:
    """Return the splits in the order of their use; summary.json sorts its keys."""
    order = ["train", "val", "test"]
    return sorted(data["counts"], key=lambda split: order.index(split) if split in order else len(order))


def _count_rows(data: Mapping[str, Any]) -> list[tuple[str, list[int]]]:
    """Return the images per class and, last, of all classes: one number per split, then their sum."""
    rows = [(name, [data["counts"][split].get(name, 0) for split in _splits(data)]) for name in data["classes"]]
    rows.append(("All classes", [sum(column) for column in zip(*(counts for _, counts in rows), strict=True)]))
    return [(name, [*counts, sum(counts)]) for name, counts in rows]


def _uncertainty_tables(uncertainty: Mapping[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one table per set of images that has any: per class and in all, (student, baseline) of each value."""
    tables = []
    for key, words in (("test", "Test split, by true class"), ("unlabelled", "Unlabelled set, by predicted class")):
        sets = [uncertainty[model][key] for model in _MODELS]
        if sets[0]["images"]:
            rows = [(name, [one["classes"][name] for one in sets]) for name in classes]
            tables.append({"words": words, "rows": [*rows, ("All images", sets)]})
    return tables


def _mistakes(predictions: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return the test images that either model gets wrong, with what each says."""
    by_model = {model: [row for row in predictions if row["model"] == model] for model in _MODELS}
    pairs = zip(by_model["student"], by_model["baseline"], strict=True)
    return [
        {"name": student["name"], "true": student["true"], "said": (student, baseline)}
        for student, baseline in pairs
        if student["true"] != student["predicted"] or baseline["true"] != baseline["predicted"]
    ]


def _data_uri(file: Path) -> str:
    if file.suffix.lower() not in _IMAGE_TYPES:
        raise ValueError(f"{file.name} is no picture for the report; expected one of {', '.join(_IMAGE_TYPES)}")
    return f"data:{_IMAGE_TYPES[file.suffix.lower()]};base64,{base64.b64encode(file.read_bytes()).decode()}"
