"""The report's sections on trust, word by word."""

import pytest

from defectdistill.evaluation.calibration import Temperature
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.report_trust import attention_section, calibration_section, selective_section


def words(section, how="off", temperature=1.0, threshold=None, images=12, above=6, right=6, target=0.95):
    model = {
        "test": {"accuracy": 0.84, "average_confidence": 0.91},
        "calibrated": {"average_confidence": 0.85},
        "selective": {"below_threshold": 0.25, "accuracy_above": 0.96},
        "unlabelled": {"images": 60, "below_threshold": 0.4},
        "intervals": {},
    }
    results = {"student": model, "baseline": model}
    choice = Chosen(Temperature(temperature, how), threshold, target, images, above, right)
    return section(results, {"student": choice, "baseline": choice})["sentences"][0].replace("\u00a0", " ")


LEARNED = ", learned from 12 validation images, makes it {} certain: it then expects 85."


@pytest.mark.parametrize(
    ("how", "temperature", "more"),
    [
        ("off", 1.0, ""),
        ("fitted", 1.6, " The temperature 1.60" + LEARNED.format("less")),
        ("bounded", 0.1, " The temperature 0.10 (the end of the range that is searched)" + LEARNED.format("more")),
        (
            "separated",
            1.0,
            " It is right on all of 12 validation images: from these no temperature can be learned, as they would take "
            "any degree of certainty for justified. Its probabilities stay as they are.",
        ),
    ],
)
def test_calibration_in_words(how, temperature, more):
    first = "Of 100 answers on the test split the student expects 91 to be right, by its own confidence; 84 are."
    assert words(calibration_section, how=how, temperature=temperature) == first + more


def test_thresholds_in_words():
    assert words(selective_section, threshold=0.834) == (
        "From a confidence of 83.4 % on the student's answers need no person: of the 12 validation images 6 reach it, "
        "and of these 6 are right, the 95 of 100 that are asked for. This promises little: with 61 of 100 right in "
        "the long run it would happen once in 20 times, and the threshold was chosen on these very images; to show 95 "
        "of 100 takes 59 that reach it, all of them right. Of the test images 25 % stay under it and would go to a "
        "person; of the others 96 % are right. Of the 60 unlabelled images 40 % stay under it."
    )
    many = words(selective_section, threshold=0.834, images=400, above=300, right=297)
    assert "of these 297 are right, the 95 of 100 that are asked for. In the long run more than 97 of 100" in many
    assert "takes" not in words(selective_section, threshold=0.834, target=1.0)  # no number of images shows that
    assert words(selective_section) == (
        "No threshold on the student's confidence gives 95 of 100 right answers on 5 or more of the 12 validation "
        "images: a person decides everything."
    )


def test_attention_in_words():
    def model(energy):
        return {
            "attention": {"images": 9, "energy_inside": energy, "hit_rate": 0.5, "mask_area": 0.08},
            "intervals": {"attention": {"hit_rate": [0.1, 0.9]}},
        }

    difference = {"attention/energy_inside": 0.1, "attention/hit_rate": 0.0, "intervals": {}}
    section = attention_section({"student": model(0.34), "baseline": model(0.24), "difference": difference})
    text = section["sentence"].replace("\u00a0", " ")
    for part in ("On 9 test images", "34 % of what speaks", "24 % for the baseline", "would have 8 %"):
        assert part in text
    assert section["rows"][1] == ("Highest point inside the mask", [(0.5, [0.1, 0.9]), (0.5, [0.1, 0.9]), (0.0, None)])
