import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.evaluation import dice_rows
from defectdistill.models.resunet import ResUNet, resunet_config
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.unet3plus import UNet3Plus, unet3plus_config

PLAIN = {"encoder": "tu-test_convnext", "global_context": False, "feature_fusion": False}
ROW = {"words": "T ← B", "alone_models": "plain-*", "distilled_models": "plain-1", "teacher_models": "with_context"}


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Two trainings of one network, and one of another."""
    monkeypatch.chdir(tmp_path)
    for seed, (name, changes) in enumerate(
        {"plain-0": {}, "plain-1": {}, "with_context": {"global_context": True}}.items()
    ):
        torch.manual_seed(seed)
        built = PLAIN | changes
        checkpoint.save(
            tmp_path / name, ResUNet(classes=2, **built).state_dict(), resunet_config(built, ["a", "b"], 32, "pad")
        )


def test_a_row_names_the_folders_of_each_side(trained):
    found = {side: [str(path) for path in of] for side, of in dice_rows.folders_of(ROW).items()}
    assert found == {"alone": ["plain-0", "plain-1"], "distilled": ["plain-1"], "teacher": ["with_context"]}


def test_a_row_without_a_training_is_named(trained):
    message = r"row 'T ← B': no folder matches alone_models = rows/x-\* and teacher_models = large; train these"
    with pytest.raises(ValueError, match=message):
        dice_rows.folders_of(ROW | {"alone_models": "rows/x-*", "teacher_models": "large"})


def test_every_network_is_loaded_once_and_measured_once_a_kind(trained, monkeypatch):
    loaded, timed, load = [], [], dice_rows.load_segmentation

    def speeds(networks, side, device):
        timed.append((set(networks), side))
        return dict.fromkeys(networks, 5.0)

    monkeypatch.setattr(dice_rows, "load_segmentation", lambda folder: loaded.append(str(folder)) or load(folder))
    monkeypatch.setattr(dice_rows, "frames_per_second", speeds)
    images = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    folders = {folder for of in dice_rows.folders_of(ROW).values() for folder in of}
    found, networks = dice_rows.ask(folders, images, 2, torch.device("cpu"))
    assert loaded == ["plain-0", "plain-1", "with_context"]
    assert timed == [({"test_convnext", "test_convnext+GC"}, 32)]
    for folder, maps in found.items():
        assert (maps == Segmenter.load(folder).label_maps(images)).all()
        own = sum(value.numel() for value in Segmenter.load(folder).network.parameters())
        assert (networks[folder].parameters, networks[folder].speed) == (own, 5.0)


def test_a_unet3plus_has_a_name_too(tmp_path, monkeypatch):
    config = unet3plus_config("plain", 2, ["a", "b"], 32, "pad")
    checkpoint.save(tmp_path, UNet3Plus(width=2, out_channels=2).state_dict(), config)
    monkeypatch.setattr(dice_rows, "frames_per_second", lambda networks, side, device: dict.fromkeys(networks, 5.0))
    _, networks = dice_rows.ask([tmp_path], np.zeros((1, 32, 32, 3), np.uint8), 2, torch.device("cpu"))
    assert networks[tmp_path].name == "U-Net3+ plain, width 2"
