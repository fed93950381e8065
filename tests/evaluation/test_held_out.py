from test_prepare import run

from defectdistill.data.tables import read_table
from defectdistill.evaluation.held_out import read_photographs


def test_copies_that_were_made_before_the_split_are_no_photographs(tmp_path):
    run(tmp_path, protocol="after_augmentation")
    rows = read_table(tmp_path / "prepared/test/index.csv")
    kept = [row for row in rows if row["copy"] == "0"]
    assert 0 < len(kept) < len(rows)
    found = read_photographs(tmp_path / "prepared", tmp_path / "raw", ("test",))
    raw = {row["name"]: row for row in read_table(tmp_path / "raw/index.csv")}
    assert found.paths == [tmp_path / "raw" / raw[row["name"]]["image"] for row in kept]
    assert [found.classes[label] for label in found.labels] == [raw[row["name"]]["label"] for row in kept]
