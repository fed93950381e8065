import pytest
from repository import PROJECT, YAML_12

from defectdistill.params import ParamsError, load_params
from defectdistill.variants import write_variant

BASE = PROJECT / "params.yaml"


def write(folder, changes, *chosen):
    (folder / "changes.yaml").write_text(changes)
    write_variant(folder / "new" / "one", BASE, folder / "changes.yaml", chosen)
    return load_params(folder / "new" / "one" / "params.yaml")


def test_changes_lie_over_the_base_in_their_order(tmp_path):
    changes = (
        "all: {student: {epochs: 5, lr: 1.0e-5}}\nrows: {b: {student: {epochs: 6}, distill: {terms: {ssim: false}}}}"
    )
    changed, base = write(tmp_path, changes, "all", "rows.b", "student.seed=3", "distill.levels=[8]"), load_params(BASE)
    expected = base.flat() | {
        "student.epochs": 6,
        "student.lr": 1e-5,
        "distill.terms.ssim": False,
        "student.seed": 3,
        "distill.levels": [8],
    }
    assert changed.flat() == expected


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("rows.c", r"changes\.yaml has no changes under 'rows\.c': expected a mapping"),
        ("student.sed=1", r"student\.sed: .*params\.yaml has no such key; expected one of task, arch"),
        ("student.seed.x=1", r"student\.seed = .*valid integer"),
        ("student.seed=one", r"student\.seed = 'one': input should be a valid integer"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, chosen, message):
    with pytest.raises((ValueError, ParamsError), match=message):
        write(tmp_path, "rows: {b: {}}", chosen)


def rows_of_the_ablation():
    values = YAML_12.load(PROJECT / "pipelines/cable_ablation/params.yaml")
    return [("cable_ablation", ["every", f"rows.{row}"]) for row in values["rows"]] + [
        ("cable_ablation", [f"teachers.{name}"]) for name in values["teachers"]
    ]


def protocols():
    values = YAML_12.load(PROJECT / "pipelines/cable_protocols/params.yaml")
    return [("cable_protocols", ["every", f"protocols.{name}"]) for name in values["protocols"]]


PAPER = [("cable_paper", ["paper", f"scales.{name}"]) for name in ("full", "smoke")]


@pytest.mark.parametrize(("pipeline", "chosen"), [*rows_of_the_ablation(), *protocols(), *PAPER])
def test_every_variant_that_is_shipped_is_valid(tmp_path, pipeline, chosen):
    write_variant(tmp_path, BASE, PROJECT / "pipelines" / pipeline / "params.yaml", chosen)


def test_the_ablation_trains_the_rows_of_its_table():
    folder = PROJECT / "pipelines/cable_ablation"
    stages = YAML_12.load(folder / "dvc.yaml")["stages"]
    trained = [*stages["row"]["matrix"]["row"], *stages["row_of_another_teacher"]["matrix"]["row"]]
    values = YAML_12.load(folder / "params.yaml")
    written = [line.split(",")[0] for line in (folder / "paper.csv").read_text().splitlines()[1:]]
    assert sorted(trained) == sorted(values["rows"]) == sorted(written)
    assert stages["row_of_another_teacher"]["matrix"]["row"] == list(values["teachers"])
    assert stages["teacher"]["matrix"]["teacher"] == list(values["teachers"])
