"""The pipelines over the root's photographs, real but tiny: real dvc and stages, trainings of a few seconds each."""

import re
from pathlib import Path

import pytest
from pipeline_cases import changed, keep, ran, replace, repro
from repository import TINY, YAML_12, make_repository, run, runs, set_params

from defectdistill.data.tables import read_json, read_table

ABLATION, PROTOCOLS = Path("pipelines/cable_ablation/dvc.yaml"), Path("pipelines/cable_protocols/dvc.yaml")
WORTH = Path("pipelines/worth/dvc.yaml")

UNUSED = [(f"      - {protocol}/metrics/evaluate.json\n", "") for protocol in ("grouped", "random")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A tiny repository with a row of the ablation and one of another teacher, one seed, and one protocol."""
    folder = make_repository(tmp_path_factory.mktemp("pipelines") / "repository", TINY)
    text = (folder / ABLATION).read_text()
    (folder / ABLATION).write_text(re.sub(r"row: \[none.*?\]", "row: [none]", text, flags=re.DOTALL))
    replace(folder / ABLATION, ("[random_teacher, other_encoder]", "[random_teacher]"), ("[0, 1, 2]", "[1]"))
    replace(folder / ABLATION.parent / "params.yaml", ("epochs: 8, min_steps", "epochs: 2, min_steps"))
    keep(folder / ABLATION.parent, {"none", "random_teacher"})
    replace(folder / PROTOCOLS, ("grouped, random, after", "after"), *UNUSED)
    keep(folder / PROTOCOLS.parent, {"after_baseline", "after_student"})
    text = (folder / WORTH).read_text().replace("[all_masks, few_masks]", "[few_masks]")
    text = text.replace("[0, 1, 2, 3, 4]", "[0]").replace("[0, 1, 2]", "[0, 1]").replace("      - all_masks\n", "")
    # The rows with all masks are left out.
    (folder / WORTH).write_text(re.sub(r"\n  row:\n.*?(?=\n  row_of_few_masks:)", "", text, flags=re.DOTALL))
    replace(folder / WORTH.parent / "params.yaml", ("limit: 20", "limit: 4"), ("label_limit: null", "label_limit: 5"))
    lines = (folder / WORTH.parent / "rows.csv").read_text().replace("plain few_masks", "few_masks")
    (folder / WORTH.parent / "rows.csv").write_text(
        "\n".join(line for line in lines.splitlines() if "all_masks" not in line) + "\n"
    )
    return folder


@pytest.fixture(scope="module")
def ablation(repository):
    """The repository after the ablation has run, and what that printed."""
    run("dvc repro freeze", repository)  # no pipeline here reads what comes behind it
    return repository, repro(repository, ABLATION)


def test_one_repro_makes_the_table_from_nothing(ablation):
    folder, output = ablation
    others = {"teacher@random_teacher", "row_of_another_teacher@random_teacher-1"}
    assert {"row@none-1", "table"} | others == ran(output)
    table = read_table(folder / ABLATION.parent / "table/table.csv")
    assert [row["row"] for row in table] == ["none", "random_teacher"]
    for row in table:
        assert 0 <= float(row["accuracy_low"]) <= float(row["accuracy"]) <= float(row["accuracy_high"]) <= 1
        assert float(row["average_entropy"]) > 0
    assert table[0]["macro_f1_difference"] == ""
    assert (table[0]["macro_f1_paper"], table[1]["macro_f1_paper"]) == ("0.9765", "")
    names = sorted(run.info.run_name for run in runs(folder, "defectdistill-rows"))
    assert names == ["ablation: none", "ablation: random_teacher"]
    new = [line for line in run("git status --porcelain", folder).splitlines() if line.startswith("??")]
    assert new == ["?? dvc.lock", f"?? {ABLATION.parent}/dvc.lock"]
    assert not (folder / "pipelines/mlflow.db").exists()  # one store for all


def test_nothing_changed_executes_nothing(ablation):
    assert ran(repro(ablation[0], ABLATION)) == set()


def test_a_teacher_that_comes_out_the_same_re_runs_nothing(ablation):
    run("dvc repro -f -s cable_ablation/dvc.yaml:teacher@random_teacher", ablation[0] / "pipelines")
    assert ran(repro(ablation[0], ABLATION)) == set()


def test_another_row_re_runs_that_row_alone(ablation):
    folder = ablation[0]
    replace(
        folder / ABLATION.parent / "params.yaml", ("distill: {method: none}", "distill: {method: masks, beta: 0.3}")
    )
    assert ran(repro(folder, ABLATION)) == {"row@none-1", "table"}
    values = YAML_12.load(folder / ABLATION.parent / "rows/none-1/params.yaml")
    assert (values["distill"]["beta"], values["student"]["seed"]) == (0.3, 1)


def test_protocols_are_set_beside_the_paper_and_the_report_warns(ablation):
    folder = ablation[0]
    output = repro(folder, PROTOCOLS)
    assert {"evaluate@after_augmentation", "table"} <= ran(output)
    place = folder / PROTOCOLS.parent
    assert "DIVIDED AFTER AUGMENTATION" in (place / "after_augmentation/metrics/report.html").read_text()
    results = read_json(place / "after_augmentation/metrics/evaluate.json")
    assert results["data"]["test_images_with_a_copy"] > 0
    table = {row["row"]: row for row in read_table(place / "table/table.csv")}
    assert float(table["after_student"]["macro_f1"]) == pytest.approx(results["student"]["test"]["macro_f1"], abs=1e-6)


def test_what_distilling_is_worth_over_seeds_with_fewer_labels_and_masks(ablation):
    folder = ablation[0]
    output = repro(folder, WORTH)
    rows = {f"row_of_few_masks@{row}-0-{seed}" for row in ("masks", "distilled") for seed in (0, 1)}
    assert ran(output) == {"teacher@few_masks-0", "table"} | rows
    place = folder / WORTH.parent
    index = read_table(place / "few_masks/0/data/prepared/train/index.csv")
    assert [row["mask_source"] for row in index].count("given") == 4
    assert len(index) == 5
    table = read_table(place / "table/trainings.csv")
    assert [row["row"] for row in table] == [f"few_{name}" for name in ("masks", "distilled", "teacher") for _ in "01"]
    assert table[4]["macro_f1"] == table[5]["macro_f1"]  # one teacher for both seeds
    text = (place / "table/table.md").read_text()
    assert "1 split, 2 seeds; each split: 5 to learn from, 4 of them with a mask" in text
    set_params(folder, {"student.epochs": 3})
    assert changed(folder, WORTH) == rows  # longer students have the same teachers
    one = "row_of_few_masks@masks-0-0"
    assert ran(run(f"dvc repro {WORTH.relative_to('pipelines')}:{one}", folder / "pipelines")) == {one}
    assert changed(folder, WORTH) == {"table"} | rows - {one}
    for each in (place / "rows/few_masks-0-0", folder / PROTOCOLS.parent / "after_augmentation"):
        assert YAML_12.load(each / "params.yaml")["student"]["epochs"] == (3 if "rows" in str(each) else 2)
