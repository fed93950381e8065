import random

import pytest

from defectdistill.prediction.survey import _Smallest, survey


def rows(uncertain, certain):
    made = [(f"u{n}.png", 0.3 + n / 10_000, True) for n in range(uncertain)]
    made += [(f"c{n}.png", 0.8 + n / 10_000, False) for n in range(certain)]
    random.Random(0).shuffle(made)
    return [
        {"path": path, "class": f"class {index % 3}", "confidence": sure, "uncertain": unsure}
        for index, (path, sure, unsure) in enumerate(made)
    ]


@pytest.mark.parametrize(
    ("uncertain", "certain", "shown"),
    [
        (500, 500, (30, 10)),
        (5, 500, (5, 35)),
        (500, 3, (37, 3)),
        (500, 0, (40, 0)),
        (0, 500, (0, 40)),
        (2, 3, (2, 3)),
        (0, 0, (0, 0)),
    ],
)
def test_a_page_is_full_of_the_uncertain_and_keeps_room_for_a_sample(uncertain, certain, shown):
    found = survey(rows(uncertain, certain), 40)
    assert (len(found.uncertain), len(found.certain)) == shown
    assert (found.images, found.doubtful) == (uncertain + certain, uncertain)
    assert all(row["uncertain"] for row in found.uncertain)
    assert not any(row["uncertain"] for row in found.certain)
    assert [row["path"] for row in found.uncertain] == [f"u{n}.png" for n in range(shown[0])]


def test_the_sample_does_not_depend_on_the_order():
    given = rows(0, 300)
    assert survey(given, 20).certain == survey(given[::-1], 20).certain


def test_few_rows_are_held():
    kept = _Smallest(10)
    for number in range(1000):
        kept.offer((-number,), {"number": number})
        assert len(kept.rows) < 20
    assert [row["number"] for row in kept.sorted()] == list(range(999, 989, -1))
