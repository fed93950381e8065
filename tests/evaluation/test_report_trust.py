"""The report's sections on trust, word by word."""

import pytest

from defectdistill.evaluation.calibration import Temperature
from defectdistill.evaluation.measures import Chosen
from defectdistill.evaluation.report_trust import attention_section, calibration_section, selective_section


def words(section, how="off", temperature=1.0, threshold=None):
    model = {
        "test": {"accuracy": 0.84, "average_confidence": 0.91},
        "calibrated": {"average_confidence": 0.85},
        "selective": {"below_threshold": 0.25, "accuracy_above": 0.96},
        "unlabelled": {"images": 60, "below_threshold": 0.4},
        "intervals": {},
    }
    results = {"student": model, "baseline": model}
    choice = Chosen(Temperature(temperature, how), threshold, 0.95, 12, 0.5)
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
        "For 95 of 100 right answers the student has to be 83.4 % certain or more: on the validation split 6 of 12 "
        "images are. Of the test images 25 % stay under it and would go to a person; of the others 96 % are right. "
        "Of the 60 unlabelled images 40 % stay under it."
    )
    assert "No threshold on the student's confidence reaches 95 of 100 right answers" in words(selective_section)


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
