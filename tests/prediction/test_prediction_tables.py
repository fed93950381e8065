import json

import numpy as np
import pytest
from prediction_cases import CLASSES

from defectdistill.assess import Assessment
from defectdistill.data.sample import Rejected
from defectdistill.data.tables import read_table
from defectdistill.prediction.tables import LINES, REJECTED, TABLE, Done, Tables, read_lines, records

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.25, 0.65]])
ASSESSED = Assessment(PROBS, [CLASSES[0], CLASSES[2]], PROBS.max(axis=1), np.array([0.8, 0.9]), np.array([False, True]))
BAD = (Rejected("bad, file", "why"),)


def write(folder, names=("x.png", 'a, "b".png'), rejected=BAD):
    tables = Tables(folder, CLASSES)
    tables.write(records(names, ASSESSED, CLASSES), rejected)
    return tables


def test_both_tables_hold_the_same_rows(tmp_path):
    write(tmp_path)  # not closed: what is written is there at once
    rows = [json.loads(line) for line in (tmp_path / LINES).read_text().splitlines()]
    assert rows[1] == {"path": 'a, "b".png', "class": "<b>soot</b>", "confidence": 0.65, "entropy": 0.9,
                       "uncertain": True, "probabilities": dict(zip(CLASSES, PROBS[1], strict=True))}  # fmt: skip
    table = read_table(tmp_path / TABLE)
    assert table[0] == {"path": "x.png", "class": "bead", "confidence": "0.700000", "entropy": "0.800000",
                        "uncertain": "false", "probability/bead": "0.700000", "probability/arc_mark": "0.200000",
                        "probability/<b>soot</b>": "0.100000"}  # fmt: skip
    assert [row["path"] for row in table] == [row["path"] for row in rows]
    assert read_table(tmp_path / REJECTED) == [{"path": "bad, file", "reason": "why"}]


@pytest.mark.parametrize("torn", [LINES, TABLE, REJECTED])
@pytest.mark.parametrize("cut", [1, 40, 5000])
def test_a_line_that_a_kill_tore_is_dropped_and_the_tables_agree_again(tmp_path, torn, cut):
    write(tmp_path).close()
    whole = {name: (tmp_path / name).read_bytes() for name in (LINES, TABLE, REJECTED)}
    with (tmp_path / torn).open("ab") as file:
        file.write(b'{"path": "torn' + b"x" * cut)
    Tables(tmp_path, CLASSES).close()
    assert {name: (tmp_path / name).read_bytes() for name in whole} == whole


def test_a_table_that_lags_behind_is_made_up_for(tmp_path):
    write(tmp_path).close()
    whole = (tmp_path / TABLE).read_bytes()
    (tmp_path / TABLE).unlink()
    (tmp_path / REJECTED).write_text("pa")
    Tables(tmp_path, CLASSES).close()
    assert (tmp_path / TABLE).read_bytes() == whole
    assert (tmp_path / REJECTED).read_text() == "path,reason\n"


def test_what_is_done_is_known_by_name(tmp_path):
    write(tmp_path).close()
    done = Done(tmp_path)
    assert len(done) == 3
    assert all(name in done for name in ("x.png", 'a, "b".png', "bad, file"))
    assert not any(name in done for name in ("y.png", "", "why"))


def test_a_damaged_line_is_named(tmp_path):
    write(tmp_path).close()
    with (tmp_path / LINES).open("a") as file:
        file.write("\0\0\n")
    with pytest.raises(ValueError, match=r"predictions.jsonl, line 3 is damaged .*--restart"):
        list(read_lines(tmp_path))
