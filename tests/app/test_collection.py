"""What is kept is read by `ingest` and `prepare` as it was meant, whatever it was called, and nothing is lost."""

import resource
import unicodedata
from contextlib import contextmanager

import numpy as np
import pytest
from app_project import CLASSES, encoded, photograph
from PIL import Image

from defectdistill.app.collection import Collection
from defectdistill.app.names import class_folder, file_name
from defectdistill.data.ingest import write_raw
from defectdistill.data.prepare import prepare
from defectdistill.data.sources.folder.source import samples
from defectdistill.data.tables import read_table


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path / "collected", CLASSES)


def data_of(seed, label="red_stain", kind="PNG", **size):
    return encoded(photograph(label, seed, **size), kind)


def ingested(folder, root):
    """Return name → (label, name of the mask) of what `ingest` reads, and what it refuses."""
    write_raw(samples(root), folder / "raw", "folder", synthetic=False, max_pixels=10**7)
    rows, rejected = read_table(folder / "raw/index.csv"), read_table(folder / "raw/rejected.csv")
    return {row["name"]: (row["label"], bool(row["mask"])) for row in rows}, rejected


def drawn(height=32, width=32):
    mask = np.zeros((height, width), bool)
    mask[3 : height // 2, 5 : width // 2] = True
    return mask


def test_what_is_kept_is_what_ingest_reads(collection, tmp_path):
    kept = [
        collection.keep(data_of(1), "a.png", "red_stain"),
        collection.keep(data_of(2, kind="JPEG"), "b.jpg", "blue_stain", drawn()),
        collection.keep(data_of(3), "c.png", None),
        collection.keep(data_of(4), "d.png", "Rust"),
    ]
    assert [entry.photograph for entry in kept] == [
        "collected/red_stain/a.png", "collected/blue_stain/b.jpg", "collected/unlabelled/c.png", "collected/Rust/d.png",
    ]  # fmt: skip
    assert kept[1].mask == "collected/masks/blue_stain/b.png"
    assert (tmp_path / kept[0].photograph).read_bytes() == data_of(1)
    found, rejected = ingested(tmp_path, collection.folder)
    assert found == {
        "red_stain/a.png": ("red_stain", False), "blue_stain/b.jpg": ("blue_stain", True),
        "unlabelled/c.png": ("", False), "Rust/d.png": ("Rust", False),
    }  # fmt: skip
    assert not rejected
    assert collection.known() == [*CLASSES, "Rust"]


def test_beside_the_photographs_that_were_there_it_is_no_level_of_its_own(collection, tmp_path, tmp_path_factory):
    for label in ("red_stain", "blue_stain"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "a.png").write_bytes(data_of(7, label))
    collection.keep(data_of(1), "a.png", "red_stain", drawn())
    found, rejected = ingested(tmp_path_factory.mktemp("out"), tmp_path)
    assert found["collected/red_stain/a.png"] == ("red_stain", True)
    assert found["red_stain/a.png"] == ("red_stain", False)
    assert not rejected


def test_prepare_gives_back_what_was_drawn(collection, tmp_path):
    masks = {}
    for index, label in enumerate(("red_stain", "blue_stain")):
        for seed in range(4):
            mask = np.random.default_rng(10 * index + seed).random((32, 32)) < 0.3
            kind = ("PNG", "JPEG")[seed % 2]
            name = f"photo {seed}.{kind.lower()}"
            collection.keep(data_of(10 * index + seed, label, kind), name, label, mask)
            masks[f"{label}/{name}"] = mask * (index == 0) * 2 + mask * (index == 1) * 1
    ingested(tmp_path, collection.folder)
    summary = prepare(
        tmp_path / "raw", tmp_path / "prepared", size=32, resize="squash", masks="given", mask_coding="auto",
        mask_table=None, normal_classes=None, fractions=(0.5, 0.25, 0.25), seed=0, near_duplicates=False,
    )  # fmt: skip
    assert summary["masks"]["coding"] == "binary"
    seen = 0
    for split in ("train", "val", "test"):
        arrays = np.load(tmp_path / "prepared" / split / "masks.npy")
        for row, label_map in zip(read_table(tmp_path / "prepared" / split / "index.csv"), arrays, strict=True):
            np.testing.assert_array_equal(label_map, masks[row["name"]])
            seen += 1
    assert seen == 8


def test_names_that_clash_get_numbers_and_nothing_is_overwritten(collection, tmp_path):
    names = ["x.png", "x.png", "X.JPG", "x.jpg"]
    kinds = ["PNG", "PNG", "JPEG", "JPEG"]
    kept = [
        collection.keep(data_of(seed, kind=kind), name, "red_stain").photograph
        for seed, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    assert kept == [f"collected/red_stain/{name}" for name in ("x.png", "x-2.png", "X-3.JPG", "x-4.jpg")]
    collection.keep(data_of(99, "blue_stain"), "y.png", "blue_stain")  # `ingest` wants two classes
    found, rejected = ingested(tmp_path, collection.folder)
    assert len(found) == 5
    assert not any(has_mask for _, has_mask in found.values())  # x.png beside x.jpg would have been its mask
    assert not rejected


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("photo.jpg", "JPEG", ("photo", ".jpg")),
        ("photo.JPEG", "JPEG", ("photo", ".JPEG")),
        ("photo.jpg", "PNG", ("photo", ".png")),  # what it is, not what it says
        ("photo", "PNG", ("photo", ".png")),
        ("part 3.5 mm", "PNG", ("part 3.5 mm", ".png")),
        ("x_mask.png", "PNG", ("x_mask_photograph", ".png")),  # or it would be taken for a mask
        ("label.png", "PNG", ("label", ".png")),
        ("../../etc/passwd.png", "PNG", ("passwd", ".png")),
        ("C:\\photos\\a.png", "PNG", ("a", ".png")),
        (".hidden.png", "PNG", ("hidden", ".png")),
        (".png", "PNG", ("png", ".png")),
        ("a\nb\x1b[2J?.png", "PNG", ("ab[2J_", ".png")),
        ("CON.png", "PNG", ("CON_photograph", ".png")),
        ("", "PNG", ("photograph", ".png")),
        ("é.png", "PNG", (unicodedata.normalize("NFC", "é"), ".png")),
        ("x" * 300 + ".png", "PNG", ("x" * 80, ".png")),
        ("panel_seg2.png", "PNG", ("panel_seg2_photograph", ".png")),
        ("mask_a.png", "PNG", ("photograph_mask_a", ".png")),
        ("label_3.png", "PNG", ("photograph_label_3_photograph", ".png")),
    ],
)
def test_names_become_such_that_every_system_and_ingest_take_them(name, kind, expected):
    assert file_name(name, data_of(0, kind=kind)) == expected


def test_no_name_of_a_photograph_makes_it_the_mask_of_another(collection, tmp_path):
    names = ["3.png", "label_3.png", "3_photograph.png", "panel.png", "panel_seg2.png", "2.png", *["gt.png"] * 2]
    names += ["3.png.png", "3_viz.png", "img_2.png"]
    kept = [collection.keep(data_of(seed), name, "red_stain") for seed, name in enumerate(names)]
    collection.keep(data_of(99, "blue_stain"), "y.png", "blue_stain")  # `ingest` wants two classes
    found, rejected = ingested(tmp_path, collection.folder)
    assert not rejected
    assert set(found) == {entry.photograph.removeprefix("collected/") for entry in kept} | {"blue_stain/y.png"}
    assert not any(has_mask for _, has_mask in found.values())


def test_names_are_shortened_by_what_a_file_system_counts(collection, tmp_path):
    crab = "\U0001f980"  # 4 bytes
    assert file_name(crab * 70 + ".png", data_of(0)) == (crab * 50, ".png")
    for seed in range(2):
        kept = collection.keep(data_of(seed), "mask_" + crab * 70 + ".png", crab * 50, drawn())
        assert (tmp_path / kept.photograph).read_bytes() == data_of(seed)
        assert (tmp_path / kept.mask).is_file()
    with pytest.raises(ValueError, match=r"at most 80 letters.*204 bytes"):
        class_folder(crab * 51, CLASSES)


@pytest.mark.parametrize("label", ["../../outside", "/tmp/outside", "..", "a\\b"])
def test_a_class_of_somebody_s_model_leads_nowhere_else(tmp_path, label):
    collection = Collection(tmp_path / "collected", [label, "dent"])
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        collection.keep(data_of(1), "a.png", label)
    assert not any(tmp_path.rglob("*.png"))


@pytest.mark.parametrize(
    "label",
    ["", "  ", "a/b", "..", ".hidden", "masks", "Images", "test", "unlabeled", "rust_mask", "x" * 81, "a\nb", "nul"],
)
def test_a_name_that_cannot_be_a_class_is_refused(collection, label):
    with pytest.raises(ValueError, match=r"class|means something else"):
        collection.keep(data_of(1), "a.png", label)
    assert not collection.folder.exists() or not any(collection.folder.rglob("*.png"))


def test_a_class_in_other_capitals_is_the_known_one():
    assert class_folder(" RED_stain ", CLASSES) == "red_stain"


def test_the_same_photograph_is_kept_once_under_what_was_said_last(collection, tmp_path):
    first = collection.keep(data_of(1), "a.png", "red_stain", drawn())
    again = collection.keep(data_of(1), "other name.png", "red_stain")
    assert again.words == "Already kept: collected/red_stain/a.png."
    moved = collection.keep(data_of(1), "a.png", "blue_stain")
    assert moved.words == "Moved from red_stain: collected/blue_stain/a.png."
    assert not (tmp_path / first.photograph).exists()
    assert not (tmp_path / first.mask).exists()
    assert (collection.folder / "masks/blue_stain/a.png").is_file()
    unsure = collection.keep(data_of(1), "a.png", None)
    assert unsure.photograph == "collected/unlabelled/a.png"
    assert [path.name for path in (collection.folder / ".replaced").rglob("*.png")] == ["a.png"]


def test_a_new_mask_takes_the_place_of_the_old_one_which_is_put_aside(collection, tmp_path):
    kept = collection.keep(data_of(1), "a.png", "red_stain", drawn())
    collection.keep(data_of(1), "a.png", "red_stain", drawn())
    assert not (collection.folder / ".replaced").exists()
    for _ in range(2):
        collection.keep(data_of(1), "a.png", "red_stain", ~drawn())
        collection.keep(data_of(1), "a.png", "red_stain", drawn())
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / kept.mask)) == 255, drawn())
    aside = sorted(path.name for path in (collection.folder / ".replaced/red_stain").iterdir())
    assert aside == ["a-2.png", "a-3.png", "a-4.png", "a.png"]


@contextmanager
def disk_full_for_files_over(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("label", ["red_stain", "blue_stain", None])
def test_a_mask_for_which_there_is_no_room_leaves_all_as_it_was(collection, label):
    collection.keep(data_of(1), "a.png", "red_stain", drawn())
    before = contents(collection.folder)
    noise = np.random.default_rng(0).random((300, 300)) < 0.5
    for data in (data_of(1), data_of(2)):  # one that was kept before, a new one
        with disk_full_for_files_over(5000), pytest.raises(OSError, match=r"masks/.*png"):
            collection.keep(data, "a.png", label, noise)
        assert contents(collection.folder) == before


def test_a_photograph_for_which_there_is_no_room_leaves_no_mask(collection):
    collection.keep(data_of(1), "a.png", "red_stain", drawn())
    before = contents(collection.folder)
    large = encoded(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8))
    with disk_full_for_files_over(5000), pytest.raises(OSError, match=r"red_stain/b\.png"):
        collection.keep(large, "b.png", "red_stain", drawn(99, 99))
    assert contents(collection.folder) == before


def test_what_was_done_with_the_photograph_is_said_where_its_mask_cannot_take_its_place(collection, tmp_path):
    collection.keep(data_of(1), "a.png", "red_stain")
    (collection.folder / "masks/red_stain/a.png").mkdir(parents=True)  # in the way
    kept = collection.keep(data_of(1), "a.png", "red_stain", drawn())
    assert kept.photograph == "collected/red_stain/a.png"
    assert kept.mask is None
    assert kept.words.startswith("Already kept: collected/red_stain/a.png. Its mask was not saved: ")
    assert "masks/red_stain/a.png cannot be written (Is a directory)" in kept.words


def test_an_empty_mask_is_refused_and_nothing_is_written(collection):
    with pytest.raises(ValueError, match="nothing is marked"):
        collection.keep(data_of(1), "a.png", "red_stain", np.zeros((32, 32), bool))
    assert not collection.folder.exists()
