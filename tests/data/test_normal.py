import pytest

from defectdistill.data.normal import is_normal

NORMAL = [
    "good", "OK", "Normal", "MT_Free", "no_defect", "NODefect_images", "non-defective", "defect-free", "Negative",
    "Good Welding", "uncracked", "Non-cracked", "without scratches", "steel ok", "no anomaly",
]  # fmt: skip
DEFECTS = [
    "dent", "not_ok", "NOK", "no good", "non ok", "abnormal", "fine_scratch", "Bad Welding", "Defect_images", "goods",
    "free_edge", "lead_free", "no_solder", "okra", "notch", "normal_wear", "normal crack", "Normal_with_scratch",
    "ok-scratch", "good_bad", "ok_ng", "almost_ok", "bad normal", "dented_clean", "un-clean", "false_negative",
    "no_crack_repair", "nicht_ok", "N_OK", "pas_ok", "never_ok", "rework_ok", "failed_ok", "crack_normal",
]  # fmt: skip


@pytest.mark.parametrize("name", NORMAL)
def test_names_that_say_that_nothing_is_wrong(name):
    assert is_normal(name)


@pytest.mark.parametrize("name", DEFECTS)
def test_names_of_defects_and_of_doubt(name):
    assert not is_normal(name)
