import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from defectdistill.data.augment import PUBLISHED, augment, augment_one, copy_seed, table3
from defectdistill.data.packed import read_index
from defectdistill.data.tables import write_table

PAPER = {
    "quarter_turn": 0.0,
    "rotation": 15.0,
    "flip": 0.5,
    "brightness": 0.15,
    "contrast": 0.15,
    "saturation": 0.15,
    "hue": 0.08,
    "padding": 4,
    "blur": 1.5,
}
NOTHING = dict.fromkeys(PAPER, 0.0) | {"padding": 0}


def source(path, names, size=32):
    path.mkdir()
    images = np.stack([np.random.default_rng(int(name)).integers(0, 256, (size, size, 3), np.uint8) for name in names])
    np.save(path / "images.npy", images)
    np.save(path / "masks.npy", (images[..., 0] > 128).astype(np.uint8) * 2)
    rows = [(name, 1, name, "given", 0) for name in names]
    write_table(path / "index.csv", ("name", "label", "group", "mask_source", "copy"), rows)
    return path


def copies_of(folder, name):
    rows = [row for row, entry in enumerate(read_index(folder)) if entry["name"] == name]
    return np.load(folder / "images.npy")[rows], np.load(folder / "masks.npy")[rows]


def test_the_transforms_are_those_of_table_3_in_order():
    transforms = table3(224, **PAPER).transforms
    names = [
        "RandomRotation",
        "RandomHorizontalFlip",
        "RandomVerticalFlip",
        "ColorJitter",
        "RandomCrop",
        "GaussianBlur",
    ]
    assert [type(transform).__name__ for transform in transforms] == names
    rotation, horizontal, vertical, jitter, crop, blur = transforms
    assert list(rotation.degrees) == [-15.0, 15.0]
    assert horizontal.p == vertical.p == 0.5
    assert list(jitter.brightness) == list(jitter.contrast) == list(jitter.saturation) == pytest.approx([0.85, 1.15])
    assert list(jitter.hue) == [-0.08, 0.08]
    assert (crop.size, set(crop.padding)) == ((224, 224), {4})
    assert (list(blur.kernel_size), list(blur.sigma)) == ([3, 3], [0.1, 1.5])


def test_the_published_settings_are_the_papers():
    assert PUBLISHED == PAPER


def test_copies_that_were_made_before_are_taken_as_they_are(tmp_path):
    folder = source(tmp_path / "train", ["1", "2"])
    rows = [("1", 1, "1", "given", 3), ("2", 1, "2", "given", 0)]
    write_table(folder / "index.csv", ("name", "label", "group", "mask_source", "copy"), rows)
    augment(folder, tmp_path / "out", copies=3, seed=0, **PAPER)
    assert [row["copy"] for row in read_index(tmp_path / "out")] == ["3", "0"]
    np.testing.assert_array_equal(np.load(tmp_path / "out/images.npy"), np.load(folder / "images.npy"))


def test_the_original_comes_first_and_then_its_copies(tmp_path):
    augment(source(tmp_path / "train", ["1", "2"]), tmp_path / "out", copies=3, seed=0, **PAPER)
    index = read_index(tmp_path / "out")
    assert [(row["name"], row["copy"]) for row in index] == [(n, str(c)) for n in "12" for c in range(4)]
    images, masks = copies_of(tmp_path / "out", "2")
    assert np.array_equal(images[0], np.load(tmp_path / "train/images.npy")[1])
    assert np.array_equal(masks[0], np.load(tmp_path / "train/masks.npy")[1])
    assert len({image.tobytes() for image in images}) == 4


def test_another_image_does_not_change_the_copies_of_the_first(tmp_path):
    augment(source(tmp_path / "a", ["5", "7"]), tmp_path / "out_a", copies=2, seed=0, **PAPER)
    augment(source(tmp_path / "b", ["3", "5", "6", "7"]), tmp_path / "out_b", copies=2, seed=0, **PAPER)
    for name in ("5", "7"):
        for before, after in zip(copies_of(tmp_path / "out_a", name), copies_of(tmp_path / "out_b", name), strict=True):
            assert np.array_equal(before, after)


def test_more_copies_keep_those_that_were_there(tmp_path):
    train = source(tmp_path / "train", ["4"])
    augment(train, tmp_path / "two", copies=2, seed=0, **PAPER)
    augment(train, tmp_path / "four", copies=4, seed=0, **PAPER)
    assert np.array_equal(copies_of(tmp_path / "two", "4")[0], copies_of(tmp_path / "four", "4")[0][:3])


def test_no_copies_leave_the_originals(tmp_path):
    augment(source(tmp_path / "train", ["1", "2"]), tmp_path / "out", copies=0, seed=0, **PAPER)
    assert np.array_equal(np.load(tmp_path / "out/images.npy"), np.load(tmp_path / "train/images.npy"))


def test_photographs_without_a_label_are_augmented_unless_they_show_what_is_held_out(tmp_path):
    folder = source(tmp_path / "unlabelled", ["1", "2", "3"])
    (folder / "masks.npy").unlink()
    rows = [("1", "a", ""), ("2", "b", "test"), ("3", "c", "")]
    write_table(folder / "index.csv", ("name", "group", "held_out"), rows)
    augment(folder, tmp_path / "out", copies=1, seed=0, **PAPER)
    copied = [(row["name"], row["group"], row["copy"]) for row in read_index(tmp_path / "out")]
    assert copied == [("1", "a", "0"), ("1", "a", "1"), ("3", "c", "0"), ("3", "c", "1")]
    images = np.load(tmp_path / "out/images.npy")
    assert np.array_equal(images[2], np.load(folder / "images.npy")[2])
    assert not np.array_equal(images[3], images[2])
    assert not (tmp_path / "out/masks.npy").exists()


def test_no_photograph_without_a_label_is_no_error(tmp_path):
    folder = tmp_path / "unlabelled"
    folder.mkdir()
    np.save(folder / "images.npy", np.zeros((0, 32, 32, 3), np.uint8))
    write_table(folder / "index.csv", ("name", "group", "held_out"), [])
    augment(folder, tmp_path / "out", copies=2, seed=0, **PAPER)
    assert np.load(tmp_path / "out/images.npy").shape == (0, 32, 32, 3)
    assert (tmp_path / "out/index.csv").read_text() == "name,group,copy\n"


def test_mask_and_image_move_together():
    image = np.zeros((64, 64, 3), np.uint8)
    image[10:20, 40:55] = 255
    mask = (image[..., 0] > 0).astype(np.uint8) * 3
    transforms = table3(64, **NOTHING | {"rotation": 15.0, "flip": 0.5, "padding": 4})
    for seed in range(8):
        moved, moved_mask = augment_one(image, mask, transforms, seed)
        assert set(np.unique(moved_mask)) <= {0, 3}  # label values are never blended
        overlap = ((moved[..., 0] > 128) & (moved_mask == 3)).sum() / (moved_mask == 3).sum()
        assert overlap > 0.9


def test_quarter_turns_with_flips_lay_a_photograph_in_all_eight_ways():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    ways = [np.rot90(side, turns) for side in (image, image[:, ::-1]) for turns in range(4)]
    transforms = table3(8, **NOTHING | {"quarter_turn": 0.5, "flip": 0.5})
    seen = set()
    for seed in range(100):
        moved, moved_mask = augment_one(image, image[..., 0], transforms, seed)
        assert np.array_equal(moved[..., 0], moved_mask)
        seen |= {number for number, way in enumerate(ways) if np.array_equal(way, moved)}
    assert seen == set(range(8))


def test_nothing_switched_on_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    moved, _ = augment_one(image, image[..., 0], table3(32, **NOTHING), 1)
    assert np.array_equal(moved, image)


def test_augmenting_leaves_the_random_state_alone():
    state = torch.random.get_rng_state()
    image = np.zeros((32, 32, 3), np.uint8)
    augment_one(image, image[..., 0], v2.Compose([v2.RandomHorizontalFlip()]), 5)
    assert torch.equal(state, torch.random.get_rng_state())


def test_seeds_differ_by_seed_image_and_copy():
    seeds = {copy_seed(seed, name, copy) for seed in (0, 1) for name in ("a", "b") for copy in (1, 2)}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
