import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.models.resunet import ResUNet, resunet_config
from defectdistill.predict_masks import MaskPredictor

BUILT = {"encoder": "tu-test_convnext", "global_context": False, "feature_fusion": False}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    network = ResUNet(classes=2, **BUILT)
    checkpoint.save(tmp_path, network.state_dict(), resunet_config(BUILT, ["dent", "rust"], 64, "pad"))
    return tmp_path


def test_masks_have_the_photographs_own_size_and_say_what_they_show(folder):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in ((50, 200), (64, 64))]
    predictor = MaskPredictor.load(folder)
    wide, square = predictor(images)
    assert (wide.labels.shape, square.labels.shape, wide.labels.dtype) == ((50, 200), (64, 64), np.uint8)
    assert np.array_equal(square.labels, predictor.segmenter.label_maps(images[1][None])[0])
    for mask in (wide, square):
        for name, share in mask.shares.items():
            assert share == pytest.approx((mask.labels == 1 + predictor.channels.index(name)).mean())
        assert list(mask.shares.values()) == sorted(mask.shares.values(), reverse=True)
    assert predictor([]) == []


def test_a_padded_border_is_no_part_of_the_mask(folder):
    predictor = MaskPredictor.load(folder)
    labels = np.zeros((64, 64), np.uint8)
    labels[24:40] = 1  # a photograph of 16 × 64 pixels lies in these rows
    mask = predictor.enlarged(labels, 16, 64)
    assert (mask.labels == 1).all()
    assert mask.shares == {"dent": 1.0}


def test_where_a_defect_is_at_any_size_without_the_border_and_with_smooth_edges(folder, monkeypatch):
    predictor = MaskPredictor.load(folder)
    image = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)  # lies in rows 16 to 47
    own = predictor.defect(image, 32, 64)
    assert own.dtype == bool
    assert np.array_equal(own, predictor.segmenter(predictor.preprocess(image)[None])[0][16:48])
    found = np.zeros((1, 64, 64), bool)
    found[0, :24] = True
    found[0, 24:32, :32] = True
    monkeypatch.setattr(predictor, "segmenter", lambda images: found)
    large = predictor.defect(image, 320, 640)
    assert large.shape == (320, 640)
    assert large[:80].all()  # rows 16 to 23: the border above them is no part of it
    assert not large[160:].any()
    corner = large[120:160, 280:320]  # which nearest neighbours would leave square
    assert corner[0, 0]
    assert not corner[-1, -1]


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3))])
def test_what_is_no_photograph_is_named(folder, image):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        MaskPredictor.load(folder)([image])


def test_a_network_and_a_model_json_that_do_not_belong_together_are_refused(folder):
    config = resunet_config(BUILT, ["dent", "rust", "crack"], 64, "pad")
    checkpoint.save(folder, ResUNet(classes=2, **BUILT).state_dict(), config)
    with pytest.raises(ValueError, match="do not fit the model"):
        MaskPredictor.load(folder)
    config["resunet"]["classes"] = 2
    checkpoint.save(folder, ResUNet(classes=2, **BUILT).state_dict(), config)
    with pytest.raises(ValueError, match="3 channels are named, classes is 2"):
        MaskPredictor.load(folder)
