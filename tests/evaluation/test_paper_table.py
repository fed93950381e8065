import cv2

from defectdistill.data.tables import read_table
from defectdistill.evaluation.paper_table import Line, numbers_of, write_paper_table

LINES = [
    Line("none", "No teacher", 17, {"macro_f1": (0.5, [0.3, 0.7])}, {"macro_f1": 0.9765, "loss": 0.4275}),
    Line("noise", "Inside the noise", 17, {"macro_f1": (0.6, [0.4, 0.8])}, {}, (0.1, [-0.1, 0.3]), 3),
    Line("clear", "Outside it", 17, {"macro_f1": (0.9, [0.8, 1.0])}, {"macro_f1": 1.0}, (0.4, [0.2, 0.6]), 3),
    Line("worse", "Worse", 17, {"macro_f1": (0.1, None)}, {}, (-0.4, [-0.6, -0.2]), 3),
    Line("once", "Trained once", 17, {"macro_f1": (0.1, None)}, {}, (-0.4, [-0.6, -0.2])),
]


def test_ours_and_the_papers_stand_side_by_side_and_noise_is_not_bold(tmp_path):
    write_paper_table(tmp_path, LINES, "A title", "17 test images.", "none")
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == "| | Test images | Macro-F1 | Macro-F1, paper | Loss | Loss, paper | Macro-F1 against none |"
    assert rows[2] == "| No teacher | 17 | 0.500 (0.30 to 0.70) | 0.977 | – | 0.427 | – |"
    assert rows[3].endswith("| +0.100 (−0.10 to 0.30) |")
    assert rows[4].endswith("| **+0.400 (0.20 to 0.60)** |")
    assert rows[5] == "| Worse | 17 | 0.100 | – | – | – | **−0.400 (−0.60 to −0.20)** |"
    assert text.endswith("17 test images.\n")
    table = read_table(tmp_path / "table.csv")
    assert [row["stands_out"] for row in table] == ["", "", "yes", "yes", ""]  # one seed cannot tell
    assert (table[0]["macro_f1"], table[0]["macro_f1_paper"], table[0]["loss"]) == ("0.500000", "0.9765", "")
    assert table[3]["macro_f1_low"] == ""
    assert cv2.imread(str(tmp_path / "table.png")).shape[1] > 1000


def test_without_a_reference_there_is_no_column_of_differences(tmp_path):
    write_paper_table(tmp_path, LINES[:1], "A title", "Few.", "")
    assert "against" not in (tmp_path / "table.md").read_text(encoding="utf-8")
    assert cv2.imread(str(tmp_path / "table.png")) is not None


def test_empty_cells_are_no_numbers():
    assert numbers_of({"row": "x", "macro_f1": "0.9645", "loss": "", "file": "3"}) == {"macro_f1": 0.9645}
