"""The page that travels with the files: what they are, how good, made of what, and where not to trust them."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from defectdistill.evaluation.calibration import OFF, SEPARATED
from defectdistill.evaluation.report_words import flattery, number, per_cent, promise, span
from defectdistill.evaluation.scores import metric_names
from defectdistill.evaluation.selective import LEAST_ABOVE
from defectdistill.export.forms import FILES, INT8, SCORES

_WORDS = {
    "accuracy": "Accuracy", "macro_f1": "Macro-F1", "macro_recall": "Macro recall", "macro_auc": "Macro AUC",
    "loss": "Loss, nats, uncalibrated",
}  # fmt: skip
_RESIZE = {"squash": "the aspect ratio is not kept", "pad": "the aspect ratio is kept, the rest is an even border"}


def model_card(
    *,
    arch: str,
    notes: Mapping[str, Any],
    results: Mapping[str, Any],
    data: Mapping[str, Any],
    parity: Mapping[str, Any],
    how: str,
    licence: str | None,
) -> str:
    """Return the card as Markdown; texts that come from the user cannot break out of its tables.

    `notes` are those inside the files, `results` evaluate.json, `data` the prepared data's summary.json, `parity` from
    `export_student`; `how` the temperature was found, as `calibration.Temperature` says it; `licence` of the
    photographs, None if nobody has said.
    """
    environment = Environment(
        loader=PackageLoader("defectdistill.export", "."), trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True,
    )  # fmt: skip
    made = {form: each for form, each in parity.items() if each is not None}
    student = results["student"]
    return environment.get_template("model_card.md.j2").render(
        arch=arch,
        classes=notes["classes"],
        names=[text(name) for name in notes["classes"]],
        notes=sorted(notes),
        size=notes["preprocessing"]["size"],
        resize_words=_RESIZE[notes["preprocessing"]["resize"]],
        temperature_words=temperature_words(notes["temperature"], how),
        weights=notes["weights_sha256"],
        files=[(FILES[form], each) for form, each in made.items() if each.get("kept", True)],
        threshold=notes["threshold"],
        target=per_cent(notes["target_accuracy"]),
        least_above=LEAST_ABOVE,
        chosen=chosen_words(student["selective"]),
        selective=selective_words(student["selective"]),
        test=student["test"],
        leaked=results["data"]["test_images_with_a_copy"],
        score_rows=score_rows(results),
        class_rows=class_rows(student, notes["classes"], data["counts"]["test"]),
        parity_rows=parity_rows(made),
        form_rows=form_rows(made),
        int8_words=int8_words(parity[INT8]),
        synthetic=data["synthetic"],
        flattery=flattery(data["divided"]),
        together=together_words(data),
        source_words=source_words(data),
        counts=data["counts"],
        protocol=data["protocol"],
        unlabelled=data["unlabelled"],
        data_hash=data["sha256"],
        licence=licence_words(licence, data["synthetic"]),
    )


def text(value: str) -> str:
    """Return a text from the user as a table and a page of Markdown take it: one line, no mark-up."""
    line = " ".join(value.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in line)


def with_interval(group: Mapping[str, Any], name: str) -> str:
    """Return a score of the test split with its interval, a dash where there is none (one object has none)."""
    ends = span(group["intervals"].get("test", {}).get(name))
    return number(group["test"].get(name)) + (f" ({ends})" if ends else "")


def score_rows(results: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (label, student, baseline) of the scores over all classes."""
    sides = (results["student"], results["baseline"])
    return [(label, *(with_interval(side, name) for side in sides)) for name, label in _WORDS.items()]


def class_rows(student: Mapping[str, Any], classes: Sequence[str], counts: Mapping[str, int]) -> list[tuple]:
    """Return (class, test photographs, F1, recall, precision) of every class."""
    named = zip(classes, metric_names(classes), strict=True)
    kinds = ("f1", "recall", "precision")
    return [
        (text(name), counts.get(name, 0), *(with_interval(student, f"{kind}/{plain}") for kind in kinds))
        for name, plain in named
    ]


def parity_rows(made: Mapping[str, Any]) -> list[tuple]:
    """Return (file, runtime, images, largest difference, share of the same class)."""
    what = {"test": "test split, prepared", "photographs": "photographs, full size"}
    return [
        (f"`{FILES[form]}`", runtime, f"{found['images']} ({what[part]})", f"{found['largest_difference']:.1e}",
         per_cent(found["class_agreement"], 1))
        for form, each in made.items()
        for part in what
        for runtime, found in each[part].items()
    ]  # fmt: skip


def form_rows(made: Mapping[str, Any]) -> list[tuple]:
    """Return (file, split, accuracy, macro-F1, loss) of each form, calibrated."""
    names = {"val": "validation", "test": "test"}
    return [
        (f"`{FILES[form]}`", names[split], *(number(scores[name]) for name in SCORES))
        for form, each in made.items()
        for split, scores in each["scores"].items()
    ]


def int8_words(int8: Mapping[str, Any] | None) -> str:
    """Return what was decided about the INT8 form, and by what."""
    if int8 is None:
        return "No INT8 form was asked for (`export.int8`)."
    drop = int8["val_f1_drop"]
    moved = f"falls by {number(drop)}" if drop > 0 else f"rises by {number(-drop)}" if drop < 0 else "does not change"
    allowed = f"the most that was allowed is {number(int8['max_f1_drop'])}"
    decided = "it was kept" if int8["kept"] else "it was not kept, and is not among the files"
    return (
        f"INT8: the ranges of its values come from {int8['calibration_images']} training images. Its macro-F1 on the "
        f"validation split {moved}; {allowed}, so {decided}. The test split is shown and decides nothing."
    )


def temperature_words(temperature: float, how: str) -> str:
    """Return in a sentence whether the probabilities are calibrated; `how` as `calibration.Temperature` says it."""
    if how == OFF:
        return "Not calibrated: `evaluate.calibrate` is false."
    if how == SEPARATED:
        return (
            "Not calibrated: it was right about every validation photograph, which no temperature can be learned from."
        )
    return f"Calibrated: a temperature of {temperature:.3f}, found on the validation split, divides the logits."


def chosen_words(selective: Mapping[str, Any]) -> str:
    """Return on what the threshold rests: how the validation split fared above it, and what that promises."""
    images, above, right = (selective[f"validation_{name}"] for name in ("images", "above", "right"))
    return (
        f"on the validation split {above} of {images} photographs were above it, and {right} of these answers right. "
        f"{promise(right, above, selective['target_accuracy'])}."
    )


def selective_words(selective: Mapping[str, Any]) -> str:
    """Return what the threshold does on the test split, '' where nothing is known."""
    if "below_threshold" not in selective:
        return ""
    above, right = 1 - selective["below_threshold"], selective.get("accuracy_above")
    judged = "" if right is None else f", and {per_cent(right)} of those answers are right"
    return f"{per_cent(above)} of the photographs are above it{judged}."


def together_words(data: Mapping[str, Any]) -> str:
    """Return what is never on two sides of the split, '' where something may be."""
    if data["divided"] != "grouped":
        return ""
    if data["near_duplicates"]["searched"]:
        return "Near copies and photographs of one object are on one side."
    return "Photographs of one object are on one side. Near copies were not looked for."


def source_words(data: Mapping[str, Any]) -> str:
    """Return where the photographs come from."""
    if data["synthetic"]:
        return f"Generated pictures (source `{data['source']}`), not photographs."
    return f"Photographs from the source `{data['source']}`."


def licence_words(licence: str | None, synthetic: bool) -> str:
    """Return the licence of the photographs, or whose task it is to say it."""
    if licence is not None:
        return text(licence)
    if synthetic:
        return "there are none: the pictures were generated by defectdistill, nobody else's work is in them"
    return "**not stated**. Whoever hands this model on has to know it; say it with `export.licence`"
