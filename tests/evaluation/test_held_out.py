from pathlib import Path

from test_prepare import run

from defectdistill.data.tables import read_table
from defectdistill.evaluation.held_out import Photographs, read_photographs


def test_a_copy_that_came_later_of_a_known_photograph_is_known():
    """With it the group has a name that the model's list does not hold."""
    keys = [{"bytes a", "group a"}, {"bytes of a copy", "group a"}, {"bytes b"}, {"bytes c", "group c"}]
    found = Photographs([Path(f"{n}.png") for n in range(4)], [0, 0, 1, 1], ["x", "y"], list("0123"), keys)
    assert [path.name for path in found.unseen_by(["bytes a", "group of old"]).paths] == ["2.png", "3.png"]
    assert [path.name for path in found.unseen_by(["group c"]).paths] == ["0.png", "1.png", "2.png"]
    assert found.unseen_by([]).paths == found.paths


def test_copies_that_were_made_before_the_split_are_no_photographs(tmp_path):
    run(tmp_path, protocol="after_augmentation")
    rows = read_table(tmp_path / "prepared/test/index.csv")
    kept = [row for row in rows if row["copy"] == "0"]
    assert 0 < len(kept) < len(rows)
    found = read_photographs(tmp_path / "prepared", tmp_path / "raw", ("test",))
    raw = {row["name"]: row for row in read_table(tmp_path / "raw/index.csv")}
    assert found.paths == [tmp_path / "raw" / raw[row["name"]]["image"] for row in kept]
    assert [found.classes[label] for label in found.labels] == [raw[row["name"]]["label"] for row in kept]
