"""Copies are found, different photographs are not taken for copies, and no copy crosses the split."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from photograph_copies import KINDS, cropped, encoded, everything

from defectdistill.data import near_duplicates
from defectdistill.data.copy_groups import Copies, copies_message
from defectdistill.data.errors import DataError
from defectdistill.data.fingerprint import INVERSE, TURNS, fingerprint, hashes, turned, turned_hashes
from defectdistill.data.images import decode_image
from defectdistill.data.ingest import write_raw
from defectdistill.data.near_duplicates import SAME, Link, find_links
from defectdistill.data.prepare import prepare
from defectdistill.data.preprocess import resize, without_border
from defectdistill.data.sample import Sample
from defectdistill.data.sources.synthetic.source import samples
from defectdistill.evaluation.leak_check import find_leaks

SETTINGS = {
    "size": 64, "resize": "squash", "masks": "given_else_threshold", "mask_coding": "auto", "mask_table": None,
    "normal_classes": None, "fractions": (0.6, 0.2, 0.2), "seed": 0, "near_duplicates": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def photographs():
    return [decode_image(sample.image) for sample in samples(Path(), 0, 128, 100, 100, 100, 0)]


@pytest.fixture(scope="module")
def fingerprints(photographs):
    return looks(photographs)


def looks(images, size=64, mode="squash"):
    return np.stack([fingerprint(resize(np.ascontiguousarray(image), size, mode)) for image in images])


def ends(links):
    return {(link.first, link.second) for link in links}


def png(image):
    return cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cropped by 10 %"])
@pytest.mark.parametrize("mode", ["squash", "pad"])
def test_every_kind_of_copy_is_found_and_nothing_else(photographs, kind, mode):
    # Not square: turned copies have other sides then.
    originals = [image[:, :100] for image in photographs[::10]]
    copies = [KINDS[kind](image, np.random.default_rng(number)) for number, image in enumerate(originals)]
    links = find_links(looks([*originals, *copies], mode=mode))
    assert ends(links) == {(number, number + len(originals)) for number in range(len(originals))}
    assert all(SAME <= link.similarity <= 1 for link in links)


@pytest.mark.parametrize("turn", range(8))
def test_a_copy_is_said_to_be_turned_as_it_was(photographs, turn):
    copy = np.stack([turned(photographs[0][..., channel], turn) for channel in range(3)], axis=2)
    (link,) = find_links(looks([photographs[0], copy]))
    assert link == Link(0, 1, link.similarity, TURNS[INVERSE[turn]])
    assert np.array_equal(turned(turned(copy[..., 0], INVERSE[turn]), turn), copy[..., 0])


def test_turns_are_named_after_what_was_done_to_the_second(photographs):
    image = photographs[0]
    made = {
        "mirrored left to right": image[:, ::-1], "mirrored top to bottom": image[::-1],
        "turned by 180°": image[::-1, ::-1], "turned by 90° to the left": np.rot90(image),
        "turned by 90° to the right": np.rot90(image, 3), "mirrored and turned by 90°": np.rot90(image[:, ::-1]),
        "same way up, cropped or shifted": cropped(image, np.random.default_rng(0)),
    }  # fmt: skip
    for relation, copy in made.items():
        (link,) = find_links(looks([image, copy]))
        assert link.relation == relation


def test_a_hash_of_a_turned_picture_is_the_turned_hash(fingerprints):
    for turn in range(8):
        expected = hashes(np.stack([turned(look, turn) for look in fingerprints[:5]]))[0]
        np.testing.assert_allclose(turned_hashes(hashes(fingerprints[:5])[0], turn), expected, atol=2e-3)


def test_three_hundred_different_photographs_are_kept_apart(fingerprints):
    assert find_links(fingerprints) == []


def test_copies_of_copies_hang_together_though_the_ends_are_not_alike(photographs):
    image = photographs[3]
    found = looks([image[:, start : start + 100] for start in range(0, 28, 4)])
    assert find_links(found[[0, -1]]) == []
    links = find_links(found)
    assert len(links) == 6
    copies = Copies([{"name": str(n), "label": "a", "group": str(n)} for n in range(7)], links, 0)
    assert copies.sets() == [list(range(7))]
    assert copies.groups() == ["0 and copies"] * 7


def test_what_hangs_together_does_not_depend_on_the_order(photographs):
    generator = np.random.default_rng(0)
    images = photographs[:40] + [everything(image, generator) for image in photographs[:20] + photographs[:10]]
    found = looks(images)
    expected = sets(find_links(found), np.arange(len(images)))
    assert [len(group) for group in expected] == [3] * 10 + [2] * 10
    for _ in range(3):
        order = generator.permutation(len(images))
        assert sets(find_links(found[order]), order) == expected


def sets(links, order):
    rows = [{"name": "", "label": "", "group": ""}] * len(order)
    return sorted(sorted(int(order[position]) for position in group) for group in Copies(rows, links, 0).sets())


def test_blocks_change_nothing(fingerprints, photographs, monkeypatch):
    found = np.concatenate([fingerprints[:60], looks([np.rot90(image) for image in photographs[:30]])])
    whole, sides = find_links(found), np.arange(90) % 2 == 1
    across = find_links(found, sides)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    monkeypatch.setattr(near_duplicates, "CHUNK", 2)
    assert find_links(found) == whole
    assert find_links(found, sides) == across
    assert len(whole) == 30


def test_memory_is_that_of_a_block_of_rows(fingerprints, monkeypatch):
    """What is held at once has BLOCK × N numbers: 20 MB for ten thousand photographs, not the 400 of all pairs."""
    shapes = []
    full = np.full

    def noted(shape, *arguments):
        shapes.append(shape)
        return full(shape, *arguments)

    monkeypatch.setattr(near_duplicates.np, "full", noted)
    monkeypatch.setattr(near_duplicates, "BLOCK", 64)
    find_links(fingerprints)
    assert shapes == [(min(64, 300 - start), 300 - start) for start in range(0, 300, 64)]


def test_two_sides_are_compared_across_alone(photographs):
    found = looks([photographs[0], photographs[0], photographs[1], np.rot90(photographs[0]), photographs[1]])
    assert ends(find_links(found, [True, True, False, False, False])) == {(0, 3), (1, 3)}
    assert find_links(found, [False] * 5) == []


def test_even_pictures_are_not_taken_for_copies():
    rows, columns = np.mgrid[:90, :90]
    dim = [np.full((90, 90, 3), value, np.uint8) for value in (0, 0, 255)]
    shaded = [np.repeat((rows * 0.5 + columns * share)[..., None], 3, axis=2).astype(np.uint8) for share in (1, 1.2)]
    noise = np.random.default_rng(0).normal(0, 1, (90, 90, 3))
    found = looks([*dim, *shaded, np.clip(120 + noise, 0, 255).astype(np.uint8)])
    assert not found.any()
    assert find_links(found) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (9, 13), (500, 8)])
def test_tiny_and_narrow_images_have_a_fingerprint(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = looks([image, image])
    assert np.isfinite(found).all()
    assert ends(find_links(found)) == ({(0, 1)} if found.any() else set())
    assert looks([image], mode="pad").shape == (1, 64, 64)


def test_one_photograph_and_none_of_a_side_have_no_copies(fingerprints):
    assert find_links(fingerprints[:1]) == []
    assert find_links(fingerprints[:1], [True]) == []


def test_a_border_is_cut_off_and_nothing_else(photographs):
    image = resize(photographs[0][:, :64], 64, "pad")
    assert without_border(image).shape == (64, 32, 3)
    assert np.array_equal(without_border(photographs[0]), photographs[0])
    border = np.full((5, 5, 3), (124, 116, 104), np.uint8)
    assert np.array_equal(without_border(border), border)


def prepared(folder, extra, **settings):
    """Prepare 3 × 12 synthetic photographs and `extra` samples; return the summary, sides and groups by name, table."""
    given = list(samples(Path(), 1, 96, 12, 12, 12, 0))
    write_raw([*given, *extra(given)], folder / "raw", "folder", synthetic=True, max_pixels=10**6)
    summary = prepare(folder / "raw", folder / "prepared", **SETTINGS | settings)
    sides, groups = {}, {}
    for side in ("train", "val", "test", "unlabelled"):
        for row in read(folder / "prepared" / side / "index.csv"):
            sides[row["name"]], groups[row["name"]] = side, row["group"]
    return summary, sides, groups, read(folder / "prepared/near_duplicates.csv")


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def altered(sample, name, change=everything, label=None, group=None, seed=0):
    image = change(decode_image(sample.image), np.random.default_rng(seed))
    return Sample(name, label, png(image), None, group)


@pytest.mark.parametrize("seed", range(8))
def test_no_copy_crosses_the_split(tmp_path, seed):
    def extra(given):
        for number, sample in enumerate(given[::2]):
            yield altered(sample, f"copies/{number}.png", label=sample.label, seed=seed)

    summary, sides, groups, table = prepared(tmp_path, extra, seed=seed)
    assert (summary["near_duplicates"]["photographs"], summary["near_duplicates"]["sets"]) == (36, 18)
    assert len(table) == 18
    for row in table:
        assert sides[row["name"]] == sides[row["other"]]
        assert groups[row["name"]] == groups[row["other"]] == f"{row['name']} and copies"
        assert row["two_labels"] == ""
    leaks = find_leaks(tmp_path / "prepared", summary["classes"])
    assert leaks["pairs"] == []
    assert leaks["learned_from"] + leaks["test"] == 54
    assert leaks["test"] == list(sides.values()).count("test")


def test_without_the_search_the_check_of_the_test_split_names_what_leaked(tmp_path):
    def extra(given):
        for number, sample in enumerate(given):
            yield altered(sample, f"copies/{number:02d}.png", label=sample.label)

    summary, sides, _, table = prepared(tmp_path, extra, near_duplicates=False)
    assert table == []
    assert not summary["near_duplicates"]["searched"]
    partner = {sample.name: f"copies/{n:02d}.png" for n, sample in enumerate(samples(Path(), 1, 96, 12, 12, 12, 0))}
    partner |= {copy: name for name, copy in partner.items()}
    expected = {name: other for name, other in partner.items() if sides[name] == "test" and sides[other] != "test"}
    leaks = find_leaks(tmp_path / "prepared", summary["classes"])
    assert {pair["name"]: pair["other"] for pair in leaks["pairs"]} == expected
    assert all(pair["split"] == sides[pair["other"]] for pair in leaks["pairs"])
    assert all(pair["label"] == pair["other_label"] in summary["classes"] for pair in leaks["pairs"])
    assert len(expected) > 3


def test_copies_join_the_groups_that_were_given(tmp_path):
    def extra(given):
        yield altered(given[0], "x/1.png", label=given[0].label, group="part 1")
        yield altered(given[1], "x/2.png", label=given[1].label, group="part 1")

    summary, sides, groups, _ = prepared(tmp_path, extra)
    names = [name for name, group in groups.items() if group.endswith(" and copies")]
    assert sorted(names) == [
        "short_circuit/short_circuit_000.png", "short_circuit/short_circuit_001.png", "x/1.png", "x/2.png",
    ]  # fmt: skip
    assert len({sides[name] for name in names}) == len({groups[name] for name in names}) == 1
    assert summary["groups"] == 36 - 2 + 1


def test_an_unlabelled_copy_is_listed_and_joins_two_that_are_not_alike(tmp_path):
    def extra(given):
        yield altered(given[0], "unlabelled/1.png")

    summary, _, groups, table = prepared(tmp_path, extra)
    (row,) = table
    assert (row["label"], row["other_label"], row["two_labels"]) == ("short_circuit", "", "")
    assert groups["unlabelled/1.png"] == groups[row["name"]]
    assert summary["near_duplicates"]["two_labels"] == 0


def test_an_unlabelled_copy_of_a_test_photograph_is_held_out_with_it(tmp_path):
    def extra(given):
        for number, sample in enumerate(given[:12]):
            yield altered(sample, f"unlabelled/{number:02}.png")

    _, sides, groups, _ = prepared(tmp_path, extra)
    held_out = {row["name"]: row["held_out"] for row in read(tmp_path / "prepared/unlabelled/index.csv")}
    of_group = {groups[name]: side for name, side in sides.items() if side != "unlabelled"}
    assert held_out == {name: of_group[groups[name]].replace("train", "") for name in held_out}
    assert {"", "test"} <= set(held_out.values())


def test_a_copy_without_a_label_that_was_learned_from_is_a_leak(tmp_path):
    def extra(given):
        for number, sample in enumerate(given[:12]):
            yield altered(sample, f"unlabelled/{number:02}.png")

    summary, sides, *_ = prepared(tmp_path, extra, near_duplicates=False)
    assert not find_leaks(tmp_path / "prepared", summary["classes"])["pairs"]
    leaks = find_leaks(tmp_path / "prepared", summary["classes"], unlabelled=True)
    tested = [f"unlabelled/{n:02}.png" for n in range(12) if sides[f"short_circuit/short_circuit_{n:03}.png"] == "test"]
    assert sorted(pair["other"] for pair in leaks["pairs"]) == tested != []
    assert {(pair["split"], pair["other_label"]) for pair in leaks["pairs"]} == {("unlabelled", "")}
    held_out, *_ = prepared(tmp_path / "found", extra)
    assert not find_leaks(tmp_path / "found/prepared", held_out["classes"], unlabelled=True)["pairs"]


def test_a_copy_under_two_labels_is_kept_and_reported(tmp_path):
    def extra(given):
        yield altered(given[0], "x/wrong.png", label="flame")
        yield altered(given[0], "unlabelled/1.png", seed=1)

    summary, sides, groups, table = prepared(tmp_path, extra)
    assert {row["two_labels"] for row in table} == {"yes"}
    found = summary["near_duplicates"]
    assert (found["photographs"], found["sets"], found["largest"], found["two_labels"]) == (3, 1, 3, 1)
    (named,) = found["doubtful"]
    assert "x/wrong.png (flame)" in named
    assert "(short_circuit)" in named
    assert "unlabelled/1.png (no label)" in named
    assert copies_message(found).count("\n") == 2
    assert "WARNING: 1 of these sets stand under two labels" in copies_message(found)
    assert sides["x/wrong.png"] == sides["short_circuit/short_circuit_000.png"]
    assert groups["x/wrong.png"] == groups["short_circuit/short_circuit_000.png"]


def test_where_copies_leave_nothing_to_split_the_error_names_them(tmp_path):
    def extra(given):
        for number in range(6):
            yield altered(given[0], f"rare/{number}.png", label="rare", seed=number)

    with pytest.raises(
        DataError, match=r"class 'rare' .* Near copies were put into one group: 7 photographs in 1 sets"
    ):
        prepared(tmp_path, extra)
    assert not (tmp_path / "prepared").exists()


def test_two_runs_write_the_same_table(tmp_path):
    def extra(given):
        for number, sample in enumerate(given[::3]):
            yield altered(
                sample, f"copies/{number}.png", change=lambda image, _: encoded(image, 50), label=sample.label
            )

    for name in ("one", "two"):
        prepared(tmp_path / name, extra)
    one, two = (tmp_path / name / "prepared/near_duplicates.csv" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert len(one.read_text().splitlines()) == 13


def test_of_pictures_that_are_all_alike_few_are_laid_over_one_another(monkeypatch):
    rng = np.random.default_rng(0)

    def surface(sigma, contrast):
        waves = cv2.GaussianBlur(rng.normal(0, 1, (96, 96)), (0, 0), sigma)
        return waves * (contrast / waves.std())

    place = surface(5, 30)  # one part before one camera; each has a grain of its own
    images = [(128 + place + surface(2, 14)).clip(0, 255).astype(np.uint8) for _ in range(60)]
    images.append(images[0][2:, 2:])
    fingerprints, asked = looks([np.repeat(image[..., None], 3, axis=2) for image in images]), []
    monkeypatch.setattr(near_duplicates, "MOST", 5)
    laid_over = near_duplicates.compare
    monkeypatch.setattr(near_duplicates, "compare", lambda *pair: asked.append(pair) or laid_over(*pair))
    assert ends(find_links(fingerprints)) == {(0, 60)}
    assert 5 * 50 < len(asked) <= 61 * (5 + 1), "of 1830 pairs"
