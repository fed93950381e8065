import numpy as np
import pytest
import torch

from defectdistill import checkpoint
from defectdistill.data.preprocess import resize
from defectdistill.evaluation.calibration import scaled
from defectdistill.models.normalise import MEAN, STD, normalise
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config
from defectdistill.predict import Predictor

CLASSES = ["a", "b", "c"]


def images(count, height=48, width=48):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    student = build_student("shufflenet_v2_x0_5", 3).eval()
    checkpoint.save(tmp_path, student.state_dict(), classifier_config("shufflenet_v2_x0_5", CLASSES, 48, "pad"))
    return tmp_path


def test_probabilities_entropy_and_classes_belong_together(folder):
    prediction = Predictor.load(folder)(images(5))
    probs = prediction.probabilities
    assert probs.shape == (5, 3)
    assert probs.dtype == np.float64
    np.testing.assert_allclose(probs.sum(1), 1.0)
    np.testing.assert_allclose(prediction.entropy, -(probs * np.log(probs)).sum(1))
    assert prediction.classes == [CLASSES[index] for index in probs.argmax(1)]


def test_it_is_the_network_on_normalised_images(folder):
    student = build_student("shufflenet_v2_x0_5", 3)
    checkpoint.load_into(student, folder)
    expected = torch.softmax(student.eval()(normalise(torch.from_numpy(images(3)))).double(), 1).detach().numpy()
    np.testing.assert_allclose(Predictor.load(folder)(images(3)).probabilities, expected, rtol=1e-4)


def test_batches_do_not_change_the_answer(folder):
    whole = Predictor.load(folder, batch_size=64)(images(7)).probabilities
    parts = Predictor.load(folder, batch_size=2)(images(7)).probabilities
    np.testing.assert_allclose(whole, parts, rtol=1e-4)


def test_images_of_any_size_go_through_the_resize_of_prepare(folder):
    predictor = Predictor.load(folder)
    image = images(1, 30, 77)[0]
    assert np.array_equal(predictor.preprocess(image), resize(image, 48, "pad"))
    mixed = predictor([image, images(1)[0]]).probabilities
    np.testing.assert_allclose(mixed[0], predictor([image]).probabilities[0], rtol=1e-4)


def test_a_temperature_is_what_evaluate_calls_calibrated(folder):
    plain = Predictor.load(folder)(images(3))
    warm = Predictor.load(folder, temperature=2.5)(images(3))
    np.testing.assert_allclose(warm.probabilities, scaled(plain.probabilities, 2.5), rtol=1e-9)
    assert warm.classes == plain.classes
    assert (warm.entropy > plain.entropy).all()
    np.testing.assert_array_equal(Predictor.load(folder, temperature=1.0)(images(3)).probabilities, plain.probabilities)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(folder, temperature):
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        Predictor.load(folder, temperature=temperature)


def test_no_image_gives_no_prediction(folder):
    prediction = Predictor.load(folder)(np.empty((0, 48, 48, 3), np.uint8))
    assert prediction.probabilities.shape == (0, 3)
    assert prediction.classes == []


@pytest.mark.parametrize("image", [np.zeros((48, 48), np.uint8), np.zeros((48, 48, 3), np.float32)])
def test_what_is_no_photograph_is_refused(folder, image):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        Predictor.load(folder)([image])


def test_normalising_by_hand():
    white = normalise(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8))
    assert white.shape == (1, 3, 2, 2)
    expected = [(1 - mean) / std for mean, std in zip(MEAN, STD, strict=True)]
    assert white[0, :, 0, 0].tolist() == pytest.approx(expected, rel=1e-5)
    assert white.is_contiguous(memory_format=torch.channels_last)


def test_a_teacher_is_no_classifier(tmp_path):
    network = build_unet3plus("plain", 2, 1)
    checkpoint.save(tmp_path, network.state_dict(), unet3plus_config("plain", 2, ["defect"], 32, "squash"))
    with pytest.raises(ValueError, match="holds no classifier"):
        Predictor.load(tmp_path)
    found = Segmenter.load(tmp_path, batch_size=2)(images(3))
    assert found.shape == (3, 48, 48)
    logits = network.eval()(normalise(torch.from_numpy(images(3))))
    assert (found == (logits[:, 0] > 0).numpy()).mean() > 0.999
