"""What the page says, in plain words: verdicts and their reasons, what is known of the models, what is missing."""

from collections.abc import Mapping, Sequence
from typing import Any

from defectdistill.app.loaded import BASELINE, STUDENT, Loaded
from defectdistill.app.looking import Finding
from defectdistill.evaluation.plot_style import readable
from defectdistill.evaluation.report_words import per_cent
from defectdistill.evaluation.selective import LEAST_ABOVE

MODEL_NAMES = {STUDENT: "Student (taught by the teacher)", BASELINE: "Baseline (without a teacher)"}


def verdict(finding: Finding) -> str:
    """Return the verdict on a photograph, one short sentence."""
    if finding.uncertain:
        return "Hand this photograph to a person."
    if finding.is_unfamiliar:
        return "Certain, but unfamiliar: have a person check it."
    return "Certain enough to answer without a person."


def reason(finding: Finding, threshold: float | None, target: float | None, measured: Mapping[str, Any]) -> str:
    """Return why, in two sentences.

    `threshold` is on the confidence, `target` the accuracy that it was chosen for, `measured` what evaluate.json holds
    of the model.
    """
    sure = f"The model is {per_cent(finding.confidence, beside=threshold)} sure of “{readable(finding.predicted)}”."
    if threshold is None:
        goal = "enough correct answers" if target is None else f"{per_cent(target)} correct answers"
        return (
            f"{sure} No level of certainty gave {goal} for {LEAST_ABOVE} or more photographs when it was checked: "
            "a person decides everything."
        )
    wanted = per_cent(threshold, beside=finding.confidence)
    if finding.uncertain:
        return f"{sure} Below {wanted} a person decides."
    return f"{sure} At {wanted} or more it may answer by itself{record(measured)}."


def record(measured: Mapping[str, Any]) -> str:
    """Return how answers above the threshold fared in the test, nothing where that was not measured."""
    selective, images = measured.get("selective", {}), measured.get("test", {}).get("images")
    if not images or "below_threshold" not in selective:
        return ""
    answered = round(images * (1 - selective["below_threshold"]))
    if not answered or "accuracy_above" not in selective:
        return f"; in the test it was never this sure ({images} photographs)"
    right = round(answered * selective["accuracy_above"])
    return f"; in the test it was this sure for {answered} of {images} photographs and right on {right} of them"


def far_words(finding: Finding) -> str:
    """Return a warning for a photograph unlike all that was learned from, nothing for any other."""
    if not finding.is_unfamiliar:
        return ""
    return (
        "This photograph is unlike anything that the model learned from, more so than the photographs that were set "
        "aside for checking. How sure the model is means little here."
    )


def known_words(finding: Finding) -> str:
    """Return a warning for a photograph that the model learned from, nothing for any other."""
    if isinstance(finding.nearest, str) or finding.nearest.known is None:
        return ""
    return (
        f"The model learned from this very photograph ({finding.nearest.known}), with the answer given: a right "
        "answer here proves nothing."
    )


def score_words(evaluation: dict[str, Any], model: str) -> str:
    """Return how good a model was on the test photographs, with the interval and what it rests on."""
    measured = evaluation.get(model, {})
    accuracy, images = measured.get("test", {}).get("accuracy"), evaluation.get("data", {}).get("test_images")
    if accuracy is None or not images:
        return "How often this model is right has not been measured here: check every answer yourself."
    right = f"{round(accuracy * images)} of {images} photographs that it had never seen ({per_cent(accuracy)})"
    ends = measured.get("intervals", {}).get("test", {}).get("accuracy")
    if ends is None:
        return f"In the test it was right on {right}."
    low, high = map(per_cent, ends)
    return (
        f"In the test it was right on {right}. With so few photographs that is a rough figure: "
        f"the true rate may well lie anywhere from {low} to {high}."
        if images < 200
        else f"In the test it was right on {right}; the true rate is likely to lie between {low} and {high}."
    )


def synthetic_words(evaluation: dict[str, Any]) -> str:
    """Return the warning that a program drew what was learned from, nothing for photographs."""
    if not evaluation.get("data", {}).get("synthetic"):
        return ""
    return (
        "Learned from synthetic data. A program drew all the pictures that these models learned from and were tested "
        "on. What they say of real photographs means nothing: use this page only to try it out."
    )


def leak_words(evaluation: dict[str, Any]) -> str:
    """Return the warning that test photographs had copies among those learned from, nothing where there are none."""
    copies = evaluation.get("data", {}).get("test_images_with_a_copy", 0)
    if not copies:
        return ""
    have = "has" if copies == 1 else "have"
    return (
        f"{copies} of the test photographs {have} a near copy among those learned from: the test score is too "
        "optimistic."
    )


def summary_words(looked: int, handed: int, refused: int) -> str:
    """Return how many photographs were looked at, are handed to a person and were refused."""
    parts = [counted(looked, "photograph was", "photographs were") + " looked at"]
    if looked:
        need = counted(handed, "needs", "need") if handed else "none needs"
        parts.append(f"{need} a person's decision")
    if refused:
        parts.append(counted(refused, "file was", "files were") + " refused")
    return ", ".join(parts) + "."


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun or verb."""
    return f"{number} {one if number == 1 else many}"


def first_time(loaded: Loaded, model: str) -> str:
    """Return the note on the wait before the first answer, nothing afterwards."""
    if loaded.has_neighbourhood(model):
        return ""
    return "Measuring the photographs that the model learned from (first time only)"


def listed(names: Sequence[str]) -> str:
    """Return names as words: a, b and c."""
    words = [readable(name) for name in names]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
