import os
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from prediction_cases import mixed, photograph

from defectdistill.data.sample import Rejected
from defectdistill.prediction.find import MASKS, MOST_KINDS, check_paths, find


def names(*paths, **options):
    return [entry.name for entry in find([Path(path) for path in paths], **options)]


@pytest.fixture(autouse=True)
def there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed(tmp_path / "in")
    return tmp_path


def test_folders_are_walked_in_one_order_and_only_images_are_taken():
    Path("in/.hidden").mkdir()
    photograph(Path("in/.hidden/x.png"), 0)
    for name in ("Thumbs.db", "notes.txt", "a/table.csv", "README"):
        Path("in", name).write_text("x")
    passed_over = Counter()
    assert names("in", passed_over=passed_over) == [
        "in/one.jpg",
        "in/two.PNG",
        "in/a/one.jpg",
        'in/a/ä ö, "x".bmp',
        "in/a/deep/er/one.tif",
        "in/b/one.jpg",
        "in/b/one.webp",
        "in/b/two.gif",
    ]
    assert passed_over == {".txt": 1, ".csv": 1, "": 1}


def test_what_is_reached_twice_comes_once_where_it_was_named():
    assert names("in/b/one.jpg", "in/b/../b", "in/b", "in/b/one.jpg") == ["in/b/one.jpg", "in/b/../b/one.webp",
                                                                         "in/b/../b/two.gif"]  # fmt: skip
    assert names("in", "in/a/deep")[-1] == "in/a/deep/er/one.tif"
    assert len(names("in", "in/a/deep", ".")) == 8
    Path("elsewhere").symlink_to("in/a")
    assert names("elsewhere", "in/a") == ["elsewhere/one.jpg", 'elsewhere/ä ö, "x".bmp', "elsewhere/deep/er/one.tif"]


def test_a_link_that_is_given_comes_once_and_what_it_leads_to_under_its_own_name(tmp_path):
    outside = photograph(tmp_path / "outside/x.jpg", 0)
    Path("in/b/link.jpg").symlink_to("two.gif")
    Path("in/b/out.jpg").symlink_to(outside)
    there = ["in/b/one.jpg", "in/b/one.webp", "in/b/two.gif"]
    assert names("in/b/link.jpg", "in/b/out.jpg", "in/b") == ["in/b/link.jpg", "in/b/out.jpg", *there]
    assert names("in/b", "in/b/out.jpg") == ["in/b/link.jpg", *there, "in/b/out.jpg"]


def test_a_file_is_tried_whatever_its_name():
    Path("in/one.jpg").rename("photo")
    assert names("photo") == ["photo"]


def test_links_that_lead_out_archives_pipes_and_bad_names_are_refused_with_reasons(tmp_path):
    outside = photograph(tmp_path / "outside/secret.png", 0)
    Path("in/out.png").symlink_to(outside)
    Path("in/folder").symlink_to(outside.parent)
    Path("in/nowhere.png").symlink_to("gone.png")
    Path("in/inside.png").symlink_to("two.PNG")
    os.mkfifo("in/pipe.png")
    Path("in/more.zip").write_bytes(b"PK")
    Path(os.fsdecode(b"in/\xff.png")).write_bytes(Path("in/two.PNG").read_bytes())
    refused = {entry.name: entry.reason for entry in find([Path("in")]) if isinstance(entry, Rejected)}
    expected = {
        "in/out.png": "leads out",
        "in/folder": "leads out",
        "in/nowhere.png": "leads nowhere",
        "in/pipe.png": "pipe",
        "in/more.zip": "archive",
        "in/\\udcff.png": "not valid UTF-8",
    }
    assert refused.keys() == expected.keys()
    assert all(words in refused[name] for name, words in expected.items())
    assert "in/inside.png" in names("in")
    assert names("in/out.png") == ["in/out.png"]  # a link that is given is meant
    assert not isinstance(next(find([Path("in/out.png")])), Rejected)


def test_the_output_folder_is_left_out():
    photograph(Path("in/predictions/x.png"), 0)
    assert "in/predictions/x.png" in names("in")
    assert len(names("in", leave_out=[Path("in/predictions")])) == 8


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_that_cannot_be_opened_is_named():
    Path("in/a").chmod(0)
    refused = [entry for entry in find([Path("in")]) if isinstance(entry, Rejected)]
    Path("in/a").chmod(0o700)
    assert [entry.name for entry in refused] == ["in/a/"]


def test_a_folder_that_vanishes_meanwhile_is_named():
    entries = find([Path("in")])
    list(islice(entries, 2))
    subprocess.run(["rm", "-r", "in/b"], check=True)
    last = list(entries)[-1]
    assert (last.name, "No such file" in last.reason) == ("in/b/", True)


def test_missing_paths_are_named():
    with pytest.raises(ValueError, match="give folders or files"):
        check_paths([])
    with pytest.raises(ValueError, match=r"^nothing, x.png: there is no such"):
        check_paths([Path("nothing"), Path("in"), Path("x.png")])


def test_the_count_of_what_is_passed_over_stays_short():
    for number in range(2 * MOST_KINDS):
        Path(f"in/x.kind{number}").write_text("")
    passed_over = Counter()
    list(find([Path("in")], passed_over=passed_over))
    assert len(passed_over) == MOST_KINDS + 1
    assert passed_over.total() == 2 * MOST_KINDS


def test_masks_beside_their_photographs_are_passed_over_and_counted():
    for name in ("one_mask.png", "mask_two.png", "mask.png", "three_mask.png"):
        photograph(Path("in", name), 0)
    passed_over = Counter()
    found = names("in", passed_over=passed_over)
    assert {"in/mask.png", "in/three_mask.png"} < {*found}, "no photograph beside them is called so"
    assert not {"in/one_mask.png", "in/mask_two.png"} & {*found}
    assert passed_over == {MASKS: 2}
    assert names("in/one_mask.png") == ["in/one_mask.png"], "what is named is tried"


def test_no_folder_is_too_deep():
    folders = ["deep" + "/a" * depth for depth in range(1100)]
    for folder in folders:
        os.mkdir(folder)
    photograph(Path("deep/z.png"), 0)
    assert names("deep") == ["deep/z.png"]
    (Path("deep") / "z.png").unlink()
    for folder in reversed(folders):  # what clears up after the tests calls itself
        os.rmdir(folder)


def test_of_two_files_of_one_stem_the_less_photographic_kind_is_the_mask_as_for_ingest():
    for name in ("x.jpg", "x.png", "y.png", "z.bmp", "z.PNG"):
        photograph(Path("pairs", name), 0)
    Path("pairs/phone.heic").write_bytes(b"x")
    photograph(Path("pairs/phone.png"), 0)
    passed_over = Counter()
    found = ["phone.heic", "phone.png", "x.jpg", "y.png", "z.bmp"]
    assert names("pairs", passed_over=passed_over) == [f"pairs/{name}" for name in found]
    assert passed_over == {MASKS: 2}
