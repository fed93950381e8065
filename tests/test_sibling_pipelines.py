"""The sibling systems' pipelines, real but tiny: real dvc and stages, trainings of a few seconds each."""

from pathlib import Path

import pytest
from pipeline_cases import keep, ran, replace, repro
from repository import TINY, YAML_12, make_repository, runs, set_params
from safetensors.torch import load_file

from defectdistill.data.tables import read_json, read_table

FITNETS, RKD = Path("pipelines/fitnets/dvc.yaml"), Path("pipelines/rkd_sarsn/dvc.yaml")
STEEL = Path("pipelines/cwd/dvc.yaml")
TINY_STEEL = {
    "ingest.strips": {"seed": 0, "images": 24, "image_height": 64, "image_width": 128},
    "prepare.image_size": 32,
    "augment.copies": 0,
    "teacher.epochs": 2,
    "student.epochs": 2,
    "student.encoder": "tu-test_convnext",
    "compute.precision": "fp32",
    "compute.threads": 1,
}


@pytest.fixture
def siblings(tmp_path):
    """A repository with one row of either sibling system, one seed, little data and short training."""
    folder = make_repository(tmp_path / "repository", TINY)
    small = {
        "prepare.image_size": 32, "teacher.epochs": 2, "student.epochs": 2, "student.arch": "small_cnn_3",
        "freeze.levels": [4], "distill.levels": [4], "distill.hint_level": 4, "augment.copies": 1,
        "compute.precision": "fp32", "compute.threads": 1, "evaluate.resamples": 100,
    }  # fmt: skip
    of_shapes = {"ingest.shapes.train_per_class": 7, "ingest.shapes.test_per_class": 2, "teacher.arch": "small_cnn_4"}
    of_tiles = {f"ingest.tiles.{name}": 7 for name in ("cracks", "patches", "pits", "scratches")}
    of_tiles |= {"ingest.tiles.good": 9, "ingest.tiles.test_per_class": 2, "teacher.arch": "sarsn_18"}
    of_tiles |= {f"augment.cyclegan.{name}": 2 for name in ("per_class", "width", "steps")}
    of_tiles |= {"augment.cyclegan.lr": 0.1, "augment.cyclegan.difference": 1}  # two steps, and pictures that changed
    set_params(folder / FITNETS.parent, small | of_shapes)
    set_params(folder / RKD.parent, small | of_tiles)
    replace(
        folder / FITNETS,
        (
            "[baseline, soft_targets, soft_targets_longer, experiment_one, experiment_two, no_matrix]",
            "[experiment_one]",
        ),
        ("[0, 1]", "[3]"),
    )
    replace(
        folder / FITNETS.parent / "rows.yaml",
        ("reference: baseline ", "reference: experiment_one "),
        ("[teacher, baseline, experiment_two]", "[teacher]"),
        ("no_matrix\n    margin", "experiment_one\n    margin"),
        ("row: experiment_two", "row: teacher"),
    )
    keep(folder / FITNETS.parent, {"teacher", "experiment_one"})
    text = (folder / RKD).read_text()
    row = text[text.index("\n  row:") : text.index("\n  row_of_migrated_defects:")]
    (folder / RKD).write_text(text.replace(row, "\n").replace("set: [plain, migrated]", "set: [migrated]"))
    replace(folder / RKD, ("[migrated, complete]", "[complete]"), ("seed: [0]", "seed: [3]"))
    replace(
        folder / RKD, ("--data sets/plain --teacher teachers/plain", "--data sets/migrated --teacher teachers/migrated")
    )
    replace(
        folder / RKD,
        ("      - sets/plain\n      - teachers/plain\n", "      - sets/migrated\n      - teachers/migrated\n"),
    )
    replace(
        folder / RKD.parent / "rows.yaml",
        ("reference: cross_entropy ", "reference: complete "),
        ("[teacher, cross_entropy, complete]", "[complete]"),
    )
    keep(folder / RKD.parent, {"teacher", "complete"})
    return folder


def test_fitnets_sets_hints_and_losses_beside_the_log(siblings):
    repro(siblings, FITNETS)
    place = siblings / FITNETS.parent
    table = {row["row"]: row for row in read_table(place / "table/table.csv")}
    assert list(table) == ["teacher", "experiment_one"]
    row = table["experiment_one"]
    assert (row["hint_loss_paper"], row["test_images"]) == ("0.23", "20")
    assert all(float(row[name]) > 0 for name in ("hint_loss", "soft_loss", "loss", "parameters"))
    assert table["teacher"]["hint_loss"] == ""
    assert "Does the added matrix matter?" in (place / "table/table.md").read_text(encoding="utf-8")
    assert not [name for name in load_file(place / "rows/experiment_one-3/models/student/weights.safetensors")
                if "regressor" in name]  # fmt: skip
    assert ran(repro(siblings, FITNETS)) == set()


def test_rkd_sarsn_learns_from_migrated_defects_and_measures_both_networks(siblings):
    repro(siblings, RKD)
    place = siblings / RKD.parent
    table = {row["row"]: row for row in read_table(place / "table/table.csv")}
    assert all(float(row["images_per_second"]) > 0 for row in table.values())
    assert 0 <= float(table["complete"]["g_mean"]) <= 1
    assert (place / "sets/migrated/metrics/augment/synthesized.png").stat().st_size > 1000
    index = read_table(place / "sets/migrated/data/augmented/index.csv")
    assert sum(row["mask_source"] == "synthesized" for row in index) == 8  # of four classes two each
    history = read_table(place / "teachers/migrated/metrics/teacher/history.csv")
    assert "class_weight_4" in history[0]


@pytest.fixture(scope="module")
def steel(tmp_path_factory):
    """A tiny repository in which the steel pipeline has run, one of its experiments, and what that printed."""
    folder = make_repository(tmp_path_factory.mktemp("steel") / "repository", {})
    place = folder / STEEL.parent
    set_params(place, TINY_STEEL)
    pipeline = YAML_12.load(folder / STEEL)
    del pipeline["stages"]["from_context"]
    pipeline["stages"]["teacher"]["matrix"]["teacher"] = ["large"]
    pipeline["stages"]["from_large"]["matrix"]["student"] = ["plain"]
    YAML_12.dump(pipeline, folder / STEEL)
    replace(place / "rows.yaml", ("tu-convnext_pico", "tu-test_convnext2"))
    keep(place, {"ConvNeXt-T ← ConvNeXt-B+GC+FF"})
    return folder, repro(folder, STEEL)


def test_the_steel_pipeline_makes_the_papers_table_from_nothing(steel):
    folder, output = steel
    # Written anew, the keys of a matrix are in order of name.
    assert {"teacher@large", "alone@0-plain", "from_large@0-plain", "report", "table"} <= ran(output)
    (row,) = read_table(folder / STEEL.parent / "table/table.csv")
    assert row["here"] == "test_convnext ← test_convnext2+GC+FF"
    for side, paper in (("alone", "0.7503"), ("distilled", "0.7711"), ("teacher", "0.7859")):
        assert 0 <= float(row[f"{side}/mean_dice"]) <= 1
        assert row[f"{side}_paper"] == paper
    assert int(row["teacher_parameters"]) > int(row["student_parameters"]) > 300_000
    assert float(row["fps_ratio"]) == pytest.approx(float(row["student_fps"]) / float(row["teacher_fps"]), rel=0.01)
    text = (folder / STEEL.parent / "table/table.md").read_text()
    assert "4 test images, drawn by a program, 32 px" in text


def test_its_report_says_what_the_table_says(steel):
    metrics = steel[0] / STEEL.parent / "report/metrics"
    results, (row,) = read_json(metrics / "evaluate.json"), read_table(steel[0] / STEEL.parent / "table/table.csv")
    assert results["student"]["test"]["mean_dice"] == pytest.approx(float(row["distilled/mean_dice"]), abs=1e-6)
    assert results["baseline"]["test"]["mean_dice"] == pytest.approx(float(row["alone/mean_dice"]), abs=1e-6)
    assert results["teacher"]["mean_dice"] == pytest.approx(float(row["teacher/mean_dice"]), abs=1e-6)
    assert "Distilled segmentation of surface defects" in (metrics / "report.html").read_text()
    assert "test/mean_dice" in runs(steel[0])[0].data.metrics


def test_another_temperature_re_runs_what_is_distilled(steel):
    folder = steel[0]
    assert ran(repro(folder, STEEL)) == set()
    set_params(folder / STEEL.parent, {"distill.temperature": 2.0})
    assert ran(repro(folder, STEEL)) == {"check", "from_large@0-plain", "report", "table"}
