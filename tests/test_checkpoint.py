import pickle

import pytest
import torch
from torch import nn

from defectdistill import checkpoint


def model(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    checkpoint.save(tmp_path, model().state_dict(), {"classes": ["a", "b"]})
    loaded = checkpoint.load_into(model(1), tmp_path)
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model().state_dict().items())
    assert checkpoint.read_config(tmp_path) == {"classes": ["a", "b"]}


def test_the_hash_names_weights_and_config(tmp_path):
    for name, seed, config in [("a", 0, {"x": 1}), ("b", 0, {"x": 1}), ("c", 1, {"x": 1}), ("d", 0, {"x": 2})]:
        checkpoint.save(tmp_path / name, model(seed).state_dict(), config)
    a, b, c, d = (checkpoint.content_hash(tmp_path / name) for name in "abcd")
    assert a == b
    assert len({a, c, d}) == 3


def test_pickled_weights_are_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="pickled weights"):
        checkpoint.read_weights(file)
    assert not (tmp_path / "ran").exists()


def test_a_model_that_does_not_fit_is_named(tmp_path):
    checkpoint.save(tmp_path, model().state_dict(), {})
    with pytest.raises(ValueError, match="do not fit the model"):
        checkpoint.load_into(nn.Conv2d(3, 4, 3), tmp_path)


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.json is missing"):
        checkpoint.read_config(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        checkpoint.read_config(tmp_path)
