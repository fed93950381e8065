import pickle

import cv2
import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.sample import Rejected
from defectdistill.data.sources.cifar10.source import CLASSES, TEST, TRAIN, samples

RNG = np.random.default_rng(0)
BATCHES = {name: (RNG.integers(0, 256, (12, 3072), np.uint8), RNG.permutation(12) % 10) for name in (*TRAIN, *TEST)}


def pickled(folder, protocol, keys=lambda key: key):
    folder.mkdir(parents=True)
    for name, (data, labels) in BATCHES.items():
        values = {"batch_label": name, "labels": labels.tolist(), "data": data, "filenames": ["x.png"] * 12}
        (folder / name).write_bytes(pickle.dumps({keys(key): value for key, value in values.items()}, protocol))


def binary(folder):
    folder.mkdir(parents=True)
    for name, (data, labels) in BATCHES.items():
        (folder / f"{name}.bin").write_bytes(np.concatenate([labels[:, None].astype(np.uint8), data], axis=1).tobytes())


VERSIONS = {
    "python": lambda root: pickled(root / "cifar-10-batches-py", 2, lambda key: key.encode()),
    "pickled again": lambda root: pickled(root / "set", 4),
    "binary": lambda root: binary(root / "cifar-10-batches-bin"),
}


def picture(sample):
    return cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_official_version_gives_the_same_images_with_both_splits(tmp_path, version):
    VERSIONS[version](tmp_path)
    found = list(samples(tmp_path / "set" if version == "pickled again" else tmp_path))
    assert len(found) == len({sample.name for sample in found}) == 72
    assert [sample.split for sample in found] == ["train"] * 60 + ["test"] * 12
    data, labels = (np.concatenate(part) for part in zip(*BATCHES.values(), strict=True))
    for sample, planes, label in zip(found, data, labels, strict=True):
        assert sample.label == CLASSES[label] == sample.name.split("/")[1]
        np.testing.assert_array_equal(picture(sample), planes.reshape(3, 32, 32).transpose(1, 2, 0))


def test_the_first_of_each_class_are_taken_from_both_splits(tmp_path):
    VERSIONS["binary"](tmp_path)
    every, some = list(samples(tmp_path)), list(samples(tmp_path, per_class=2))
    for split in ("train", "test"):
        for name in CLASSES:
            of_class = [sample.name for sample in every if (sample.label, sample.split) == (name, split)]
            assert [s.name for s in some if (s.label, s.split) == (name, split)] == of_class[:2]


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(Evil()), r"data_batch_2 is no CIFAR-10 batch .*asks for builtins\.print"),
        (pickle.dumps({"data": Evil()}), r"asks for builtins\.print"),
        (pickle.dumps([1, 2]), r"holds a list, expected the dictionary"),
        (pickle.dumps({"labels": [1], "data": np.zeros((2, 3072), np.uint8)}), r"no `data` of 3072 bytes for each"),
        (pickle.dumps({"labels": [11], "data": np.zeros((1, 3072), np.uint8)}), r"has the label 11; expected 0 to 9"),
        (b"no pickle", r"data_batch_2 is no CIFAR-10 batch"),
        (b"", r"data_batch_2 is no CIFAR-10 batch"),
    ],
)
def test_a_pickle_that_is_no_batch_is_refused_and_nothing_in_it_runs(tmp_path, capsys, content, message):
    VERSIONS["python"](tmp_path)
    (tmp_path / "cifar-10-batches-py/data_batch_2").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(samples(tmp_path))
    assert "run" not in capsys.readouterr().out


def test_a_binary_batch_that_is_cut_off_or_missing_is_named(tmp_path):
    VERSIONS["binary"](tmp_path)
    file = tmp_path / "cifar-10-batches-bin/data_batch_5.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"data_batch_5\.bin has 36875 bytes, no multiple of the 3073"):
        list(samples(tmp_path))
    file.unlink()
    with pytest.raises(DataError, match=r"has no data_batch_5\.bin"):
        list(samples(tmp_path))


def test_class_folders_keep_both_splits(tmp_path):
    for name in ("train/cat/1.png", "train/dog/1.png", "test/cat/2.png", "train/3.png", "other/cat/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    found = list(samples(tmp_path))
    kept = {sample.name: (sample.label, sample.split) for sample in found if not isinstance(sample, Rejected)}
    expected = {"test/cat/2.png": ("cat", "test"), "train/cat/1.png": ("cat", "train")}
    assert kept == expected | {"train/dog/1.png": ("dog", "train")}
    assert {item.name for item in found if isinstance(item, Rejected)} == {"train/3.png", "other/cat/4.png"}


def test_a_folder_with_neither_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"neither the official batches .* nor the folders train and test"):
        list(samples(tmp_path))
