import json

import numpy as np
import pytest
import torch

from defectdistill.data.tables import write_table
from defectdistill.distillation.feature_store import open_store, read_manifest
from defectdistill.distillation.feature_writer import write_store
from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus
from defectdistill.models.normalise import normalise

TEACHER = "abc123"
CONFIG = {
    "encoder": "plain", "width": 2, "in_channels": 3, "out_channels": 2, "strides": [4, 8], "class_maps": True,
}  # fmt: skip
ALL = ["features4", "features8", "class_map4", "class_map8", "evidence"]


def images(folder, count, seed=0):
    folder.mkdir(parents=True)
    np.save(folder / "images.npy", np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))
    write_table(folder / "index.csv", ("name", "label"), [(f"{row}.png", 0) for row in range(count)])
    return folder


@pytest.fixture
def stored(tmp_path):
    torch.manual_seed(0)
    teacher = FrozenUNet3Plus(CONFIG)
    splits = {"train": images(tmp_path / "train", 5), "val": images(tmp_path / "val", 2, 1)}
    write_store(tmp_path / "store", teacher, TEACHER, splits, batch_size=2, autocast=False)
    return tmp_path, teacher


def test_it_holds_what_the_teacher_said(stored):
    folder, teacher = stored
    arrays = open_store(folder / "store", TEACHER, "train", folder / "train", ALL)
    expected = teacher(normalise(torch.from_numpy(np.load(folder / "train/images.npy")))).arrays()
    assert list(expected) == ALL
    for name, array in arrays.items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, expected[name].numpy(), rtol=1e-3, atol=1e-3)
    val = open_store(folder / "store", TEACHER, "val", folder / "val", ALL)
    shapes = [(2, 8, 8, 8), (2, 4, 4, 16), (2, 8, 8, 3), (2, 4, 4, 3), (2, 2)]
    assert [array.shape for array in val.values()] == shapes
    np.testing.assert_allclose(val["class_map8"].sum(axis=3, dtype=np.float32), 1, atol=2e-3)


def test_writing_twice_gives_the_same_bytes(stored):
    folder, teacher = stored
    splits = {"train": folder / "train", "val": folder / "val"}
    write_store(folder / "again", teacher, TEACHER, splits, batch_size=2, autocast=False)
    for path in (folder / "store").rglob("*.*"):
        assert path.read_bytes() == (folder / "again" / path.relative_to(folder / "store")).read_bytes()


def test_a_store_of_other_images_is_stale(stored):
    folder, _ = stored
    pictures = np.load(folder / "train/images.npy")
    pictures[3, 0, 0, 0] ^= 1
    np.save(folder / "train/images.npy", pictures)
    with pytest.raises(ValueError, match="stale"):
        open_store(folder / "store", TEACHER, "train", folder / "train", ["features4"])


def test_a_store_of_another_teacher_is_stale(stored):
    folder, _ = stored
    with pytest.raises(ValueError, match=r"stale: its features are of the teacher abc123.*not of other.*repro freeze"):
        open_store(folder / "store", "other", "train", folder / "train", ["features4"])


@pytest.mark.parametrize(
    ("store", "limit_gb", "expected"),
    [("auto", 1, True), ("auto", 1e-6, False), ("never", 1, False), ("always", 0, True)],
)
def test_features_over_the_limit_are_not_stored(stored, store, limit_gb, expected):
    folder, teacher = stored
    manifest = write_store(folder / "store", teacher, TEACHER, {"train": folder / "train"}, 2, False, store, limit_gb)
    assert manifest["bytes"] == 5 * 2 * (8 * 8 * (8 + 3) + 4 * 4 * (16 + 3) + 2)
    assert manifest == read_manifest(folder / "store", TEACHER)
    assert manifest["stored"] == expected
    arrays = list((folder / "store").rglob("*.npy"))
    assert sum(np.load(path).nbytes for path in arrays) == (manifest["bytes"] if expected else 0)


@pytest.mark.parametrize("store", ["always", "never"])
def test_a_copy_has_the_evidence_of_its_photograph(stored, store):
    """A copy whose photograph is not among the images (in another split) has its own, and so do its maps."""
    folder, teacher = stored
    rows = [("a.png", 0, 0), ("a.png", 0, 1), ("b.png", 0, 0), ("b.png", 0, 1), ("c.png", 0, 2)]
    write_table(folder / "train/index.csv", ("name", "label", "copy"), rows)
    splits = {"train": folder / "train", "unlabelled": images(folder / "none", 0)}
    write_store(folder / "store", teacher, TEACHER, splits, 2, False, store, evidence_from="original")
    said = teacher(normalise(torch.from_numpy(np.load(folder / "train/images.npy")))).arrays()
    names = ["evidence", "class_map8"] if store == "always" else ["evidence"]
    arrays = open_store(folder / "store", TEACHER, "train", folder / "train", names)
    expected = said["evidence"][[0, 0, 2, 2, 4]].numpy()
    assert len(np.unique(expected[:, 0])) == 3
    np.testing.assert_allclose(arrays["evidence"], expected, rtol=1e-3, atol=1e-3)
    if store == "always":
        np.testing.assert_allclose(arrays["class_map8"], said["class_map8"].numpy(), rtol=1e-3, atol=1e-3)
    assert read_manifest(folder / "store", TEACHER)["stored"] == (store == "always")


def test_stores_that_differ_only_in_their_evidence_have_different_manifests(stored):
    """A training is known by the manifest of what it reads."""
    folder, teacher = stored
    for kept in ("original", "copy"):
        write_store(folder / kept, teacher, TEACHER, {"train": folder / "train"}, 2, False, evidence_from=kept)
    assert read_manifest(folder / "original", TEACHER) != read_manifest(folder / "copy", TEACHER)


def test_a_level_that_is_not_stored_is_named(stored):
    folder, _ = stored
    with pytest.raises(ValueError, match=r"needs the teacher's features16.*holds class_map4.*freeze.class_maps"):
        open_store(folder / "store", TEACHER, "train", folder / "train", ["features4", "features16"])


def test_a_split_that_is_not_stored_is_named(stored):
    folder, _ = stored
    with pytest.raises(ValueError, match="'test'"):
        open_store(folder / "store", TEACHER, "test", folder / "train", ["features4"])


def test_half_a_store_is_refused(stored):
    folder, _ = stored
    path = folder / "store/train/features4.npy"
    np.save(path, np.load(path)[:3])
    with pytest.raises(ValueError, match="partial"):
        open_store(folder / "store", TEACHER, "train", folder / "train", ["features4"])
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ValueError, match="cannot be read"):
        open_store(folder / "store", TEACHER, "train", folder / "train", ["features4"])
    (folder / "store/manifest.json").unlink()
    with pytest.raises(FileNotFoundError, match="no complete feature store"):
        open_store(folder / "store", TEACHER, "train", folder / "train", ["features4"])


def in_manifest(folder, *keys, value):
    path = folder / "store/manifest.json"
    manifest = json.loads(path.read_text())
    section = manifest
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["teacher"], 3), (["stored"], "yes"), (["splits"], []), (["splits", "train"], None),
        (["splits", "train", "arrays"], ["features4"]), (["splits", "train", "arrays", "features4"], {}),
        (["splits", "train", "arrays", "features4", "shape"], "4"),
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_named(stored, keys, value):
    in_manifest(stored[0], *keys, value=value)
    with pytest.raises(ValueError, match=r"manifest.json is no manifest of a feature store \(.*dvc repro freeze"):
        open_store(stored[0] / "store", TEACHER, "train", stored[0] / "train", ["features4"])


@pytest.mark.parametrize("name", ["../../secret", "/secret", "../val/features4"])
def test_a_manifest_that_climbs_out_of_its_split_is_refused(stored, name):
    in_manifest(stored[0], "splits", "train", "arrays", value={name: {"shape": [2, 8, 8, 8]}})
    with pytest.raises(ValueError, match="expected a path below that folder"):
        open_store(stored[0] / "store", TEACHER, "train", stored[0] / "train", [name])


def test_a_teacher_that_diverged_is_refused_and_the_old_store_stays(stored):
    folder, teacher = stored
    before = (folder / "store/manifest.json").read_bytes()
    with torch.no_grad():
        next(teacher.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="diverged"):
        write_store(folder / "store", teacher, "new", {"train": folder / "train"}, 2, autocast=False)
    assert (folder / "store/manifest.json").read_bytes() == before


def test_the_manifest_names_teacher_levels_and_images(stored):
    manifest = json.loads((stored[0] / "store/manifest.json").read_text())
    assert manifest["teacher"] == TEACHER
    assert manifest["splits"]["train"]["arrays"]["features8"] == {"shape": [5, 4, 4, 16]}
    assert len(manifest["splits"]["val"]["images"]) == 64
