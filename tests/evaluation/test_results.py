"""What evaluate.json holds: values and intervals belong together, differences are paired, what is unknown is absent."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import NAMES, make_case, make_pixels

from defectdistill.evaluation.gathered import MODELS
from defectdistill.evaluation.measures import choose
from defectdistill.evaluation.results import evaluation_results
from defectdistill.evaluation.scores import negative_log_likelihood
from defectdistill.probabilities import confidence


def measured(case, calibrate=True, target=0.8, resamples=300, seed=0):
    validation = case["validation"]
    chosen = {model: choose(validation.probs[model], validation.labels, calibrate, target) for model in MODELS}
    rest = (chosen, NAMES, resamples, seed)
    return evaluation_results(case["test"], case["unlabelled"], case["pixels"], *rest), chosen


@pytest.fixture(scope="module")
def case():
    return make_case(NAMES, 60, 20)


def test_every_value_has_an_interval_around_it(case):
    results, _ = measured(case)
    for model in MODELS:
        for part in ("test", "calibrated", "selective", "attention", "unlabelled"):
            known = {
                "temperature",
                "threshold",
                "target_accuracy",
                "validation_images",
                "validation_above",
                "validation_right",
            }
            without = known | {"ece"}  # of resamples it is larger than of the images
            names = {name for name in results[model][part] if name.partition("/")[0] != "images"} - without
            assert names == set(results[model]["intervals"][part]), part
            for name in names:
                low, high = results[model]["intervals"][part][name]
                assert low - 1e-5 <= results[model][part][name] <= high + 1e-5, (part, name)
    assert set(results["teacher"]) == {"dice", "iou", "image_dice", "images", "intervals"}
    assert set(results["teacher"]["intervals"]) == {"dice", "iou", "image_dice"}


def test_differences_are_of_the_same_draws(case):
    test = replace(case["test"], probs=dict.fromkeys(MODELS, case["test"].probs["student"]))
    same = case | {"test": test, "validation": replace(case["validation"], probs=dict.fromkeys(
        MODELS, case["validation"].probs["student"]))}  # fmt: skip
    same["pixels"] = replace(case["pixels"], maps=dict.fromkeys(MODELS, case["pixels"].maps["student"]))
    results, _ = measured(same)
    ends = results["difference"].pop("intervals")
    assert set(results["difference"]) - set(ends) == {"ece", "calibrated/ece"}
    assert {"macro_f1", "calibrated/brier", "selective/aurc", "attention/energy_inside"} <= set(ends)
    assert set(results["difference"].values()) == {0.0}
    assert all(end == [0.0, 0.0] for end in ends.values())


def test_photographs_of_one_object_make_intervals_wider(case):
    alone = replace(case["test"], groups=case["test"].names)
    # Ten objects, from the easiest to the hardest: their photographs are about equally hard.
    costs = negative_log_likelihood(alone.probs["student"], alone.labels)
    together = replace(alone, groups=[str(place // 6) for place in costs.argsort().argsort()])
    widths = []
    for test in (alone, together):
        low, high = measured(case | {"test": test})[0]["student"]["intervals"]["test"]["loss"]
        widths.append(high - low)
    assert widths[1] > 1.5 * widths[0]


def test_one_object_alone_has_no_interval(case):
    results, _ = measured(case | {"test": replace(case["test"], groups=["x"] * 60)})
    assert set(results["student"]["intervals"]) == {"unlabelled"}
    assert results["difference"]["intervals"] == {}


def test_no_threshold_no_share_under_it(case):
    results, chosen = measured(case, calibrate=False, target=1.0)
    wrong = replace(case["validation"], labels=(case["validation"].labels + 1) % 3)
    without, none = measured(case | {"validation": wrong}, calibrate=False, target=1.0)
    assert chosen["student"].threshold == results["student"]["selective"]["threshold"]
    assert none["student"].threshold is None
    assert not {"threshold", "below_threshold", "accuracy_above"} & set(without["student"]["selective"])
    assert "below_threshold" not in without["student"]["unlabelled"]
    assert without["student"]["selective"]["validation_above"] == 0.0


def test_shares_under_the_threshold(case):
    results, chosen = measured(case, calibrate=False)
    threshold = chosen["baseline"].threshold
    for name, group in (("selective", case["test"]), ("unlabelled", case["unlabelled"])):
        under = confidence(group.probs["baseline"]) < threshold
        assert results["baseline"][name]["below_threshold"] == pytest.approx(under.mean())


def test_attention_counts_the_images_that_have_a_mask_which_shows_something(case):
    pixels = make_pixels(np.random.default_rng(0), 60)
    expected = sum(1 for row in range(60) if row % 4 != 3 and row % 5)
    results, _ = measured(case | {"pixels": pixels})
    assert results["student"]["attention"]["images"] == results["baseline"]["attention"]["images"] == expected
    assert results["student"]["attention"]["mask_area"] == pytest.approx(1 / 16)
    blank = replace(pixels, masks=np.zeros_like(pixels.masks))
    assert "attention" not in measured(case | {"pixels": blank})[0]["student"]
    unmasked = replace(pixels, masked=np.zeros(60, dtype=bool))
    assert measured(case | {"pixels": unmasked})[0]["teacher"] == {}


def test_a_teacher_that_knows_the_classes_is_scored_on_every_test_image(case):
    pixels, labels = case["pixels"], case["test"].labels
    answers = np.full((60, len(NAMES)), 0.1)
    answers[np.arange(60), labels] = 0.8
    answers[0] = np.roll(answers[0], 1)
    teacher = measured(case | {"pixels": replace(pixels, answers=answers)})[0]["teacher"]
    assert teacher["accuracy"] == pytest.approx(59 / 60)
    assert 0.9 < teacher["macro_f1"] < 1
    assert set(teacher["intervals"]) == {"dice", "iou", "image_dice", "accuracy", "macro_f1"}
