"""`defectdistill summary` on a real store: which runs belong together, and what is said of them."""

import csv

import pytest

from defectdistill.summary import summary
from defectdistill.tracking.runs import experiment_run

PARAMS = {"prepare.val_fraction": 0.15, "prepare.test_fraction": 0.15, "prepare.folds": 5, "prepare.seed": 0,
          "student.seed": 0, "teacher.seed": 0, "augment.seed": 0, "evaluate.seed": 0}  # fmt: skip


SAME = "on the same test photographs each time; others may say otherwise"


@pytest.fixture
def store(tmp_path, monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(student, baseline, raw="a" * 64, tags=None, **changes):
    params = PARAMS | {name.replace("__", "."): value for name, value in changes.items()}
    with experiment_run(params, False) as logged:
        logged.log_metrics({"test/macro_f1": student, "baseline/test/macro_f1": baseline})
        if raw:
            logged.set_tags({"raw/sha256": raw} | (tags or {}))


def test_folds_and_seeds_of_equal_settings_are_one_group(store):
    for fold, (student, baseline) in enumerate([(0.9, 0.8), (0.8, 0.75), (0.7, 0.65)]):
        run(0.1, 0.9, prepare__fold=fold, distill__beta=0.5)  # run again below: the later one counts
        run(student, baseline, prepare__fold=fold, distill__beta=0.5, evaluate__seed=fold)
    run(0.6, 0.5, prepare__fold=0, distill__beta=0.3)
    run(0.7, 0.5, prepare__fold=0, distill__beta=0.3, student__seed=1)
    run(0.4, 0.4, prepare__fold=0, distill__beta=0.9)  # alone: no group
    lines = list(summary("test/macro_f1", store / "summary"))
    text = "\n".join(lines)
    assert "group 1 (distill.beta=0.5): 3 trainings, test/macro_f1" in text
    assert "student   0.800  standard deviation 0.100" in text
    assert "difference +0.067" in text
    assert "over 3 splits" in text
    assert "group 2 (distill.beta=0.3): 2 trainings" in text
    assert "difference +0.150" in text
    assert "over 2 seeds" in text
    assert "group 3" not in text
    with (store / "summary/trainings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["settings"], row["student"]) for row in rows] == [
        ("1", "0.9"), ("1", "0.8"), ("1", "0.7"), ("2", "0.6"), ("2", "0.7"),
    ]  # fmt: skip
    assert len(list((store / "summary").glob("*.png"))) == 2


def test_runs_of_other_photographs_are_another_group(store):
    for fold in range(3):
        run(0.9, 0.8, prepare__fold=fold)
        run(0.7, 0.8, raw="b" * 64, prepare__fold=fold)  # photographs were added to the same ingest.path
        run(0.5, 0.4, raw=None, prepare__fold=fold)  # from before runs carried this tag
    lines = list(summary("test/macro_f1", store / "summary"))
    groups = [line for line in lines if line.startswith("group")]
    assert groups == [
        "group 1 (raw/sha256=aaaaaaaaaaaa): 3 trainings, test/macro_f1",
        "group 2 (raw/sha256=bbbbbbbbbbbb): 3 trainings, test/macro_f1",
        "group 3 (raw/sha256=unknown): 3 trainings, test/macro_f1",
    ]
    assert [line.split()[1] for line in lines if "difference" in line] == ["+0.100,", "-0.100,", "+0.100,"]


def test_runs_on_a_test_split_that_is_given_share_it_whatever_the_seed(store):
    for seed, student in enumerate((0.9, 0.8, 0.7)):
        run(student, 0.6, prepare__protocol="given", prepare__seed=seed)
    lines = list(summary("test/macro_f1", store / "summary"))
    # A plain paired t over three seeds, 0.2 ± 4.303 · 0.1 / √3: not corrected for what splits share.
    (line,) = [line for line in lines if "difference" in line]
    assert line == "  difference +0.200, 95 % interval -0.048 to +0.448, p = 0.0742, over 3 seeds, " + SAME
    with (store / "summary/trainings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["split"] for row in rows} == {"the given test split"}
    assert [row["seed"].split(",")[0] for row in rows] == ["prepare seed 0", "prepare seed 1", "prepare seed 2"]


def test_nothing_to_compare_says_what_to_run(store):
    run(0.9, 0.8, prepare__fold=0)
    with pytest.raises(ValueError, match=r"no two runs.*differ in fold or seed alone.*make crossval"):
        list(summary("test/macro_f1", store / "summary"))
    message = r"no run has 'test/macrof1' of student and baseline; near it are test/macro_f1 \(1 in all\)"
    with pytest.raises(ValueError, match=message):
        list(summary("test/macrof1", store / "summary"))


def missing_of(store):
    return [line for line in summary("test/macro_f1", store / "summary") if "these are missing" in line]


def test_folds_that_are_missing_are_named(store):
    for fold in (0, 2, 3):
        run(0.9, 0.8, prepare__fold=fold)
    run(0.9, 0.7, prepare__fold=0, distill__beta=0.9)  # of this one all others failed
    lines = missing_of(store)
    assert [line.partition("missing: ")[2] for line in lines] == ["1, 4", "1, 2, 3, 4"]
    assert "prepare seed 0, augment seed 0, teacher seed 0, student seed 0" in lines[0]
    said = []
    with pytest.raises(ValueError, match=r"of 5 folds .* are missing: 1, 2, 3, 4: train them again"):
        said.extend(summary("test/macro_f1", store / "summary", complete=True))
    assert said[-1].startswith("every training")  # all was said and written before


def test_what_must_be_complete_is_the_group_of_the_newest_run(store):
    """Another one of which folds are missing, given up long ago, is named and no error."""
    run(0.9, 0.7, prepare__fold=0, distill__beta=0.9)
    for fold in range(5):
        run(0.9, 0.8, prepare__fold=fold)
    said = list(summary("test/macro_f1", store / "summary", complete=True))
    assert [line.partition("missing: ")[2] for line in said if "missing" in line] == ["1, 2, 3, 4"]


@pytest.mark.parametrize(("metric", "groups"), [("test/macro_f1", 1), ("selective/below_threshold", 2)])
def test_runs_that_were_calibrated_otherwise_are_compared_by_what_came_before_alone(store, metric, groups):
    for target in (0.95, 0.99):
        for seed in range(2):
            with experiment_run(
                PARAMS | {"prepare.fold": 0, "student.seed": seed, "evaluate.target_accuracy": target}, False
            ) as logged:
                logged.log_metrics({metric: 0.5 + seed / 10, f"baseline/{metric}": 0.4})
                logged.set_tags({"raw/sha256": "a" * 64})
    lines = [line for line in summary(metric, store / "summary") if line.startswith("group")]
    assert len(lines) == groups
    assert all(": 2 trainings" in line for line in lines)


def test_runs_of_other_code_are_named(store):
    def of(commit, changed):
        return {"mlflow.source.git.commit": commit * 40, "git.changed": changed}

    for fold, tags in enumerate([of("a", " M params.yaml"), of("a", ""), of("a", "")]):
        run(0.9 + fold / 100, 0.8, prepare__fold=fold, tags=tags)
    assert not [line for line in summary("test/macro_f1", store / "summary") if "warning" in line]
    run(0.9, 0.8, prepare__fold=1, tags=of("b", ""))
    run(0.9, 0.8, prepare__fold=2, tags=of("a", " M src/defectdistill/stage.py\n?? notes.txt"))
    (line,) = [line for line in summary("test/macro_f1", store / "summary") if "warning" in line]
    assert line == (
        "  warning: the runs are of 2 commits (aaaaaaaaaaaa, bbbbbbbbbbbb) and 1 of them ran changed code: a "
        "difference may come from the code"
    )


def test_equal_differences_over_seeds_have_no_interval_and_say_on_what_they_rest(store):
    for seed in range(3):
        run(12 / 17, 11 / 17, student__seed=seed, prepare__folds=0, tags={"data/test_images": "17"})
    (line,) = [line for line in summary("test/macro_f1", store / "summary") if line.startswith("  difference")]
    assert line == (
        "  difference +0.059, the same each time: no interval, over 3 seeds, on the same 17 test photographs each "
        "time; others may say otherwise"
    )
