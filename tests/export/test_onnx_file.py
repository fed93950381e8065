"""Every student of ours as an ONNX file: the answers of torch in two runtimes, for any size and number of images."""

import hashlib
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from defectdistill.data.preprocess import resize
from defectdistill.export.deployed import Deployed
from defectdistill.export.onnx_file import to_bytes, to_onnx
from defectdistill.export.parity import TOLERANCE
from defectdistill.export.runtimes import RUNTIMES, in_onnxruntime
from defectdistill.models.normalise import normalise
from defectdistill.models.resize import Resize
from defectdistill.models.students import build_student
from defectdistill.predict import Predictor

CLASSES = ["a", "b", "c"]
SIZES = [(64, 64), (128, 128), (128, 64), (256, 256), (100, 77), (480, 640), (40, 40), (30, 200), (1, 5), (700, 20)]

MADE_ELSEWHERE = """
import hashlib, torch
from defectdistill.export.deployed import Deployed
from defectdistill.export.onnx_file import to_bytes, to_onnx
from defectdistill.models.students import build_student
torch.manual_seed(0)
model = to_onnx(Deployed(build_student("small_cnn_3", 3), 32, "pad", 1.5), "it", {"b": [1], "a": None})
print(hashlib.sha256(to_bytes(model)).hexdigest())
"""


def photographs(count, height, width):
    """Smooth enough that rounding is not all there is, and each of another colour, so that networks tell them apart."""
    random = np.random.default_rng(height)
    noise = random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    colours = random.uniform(0.1, 1.0, (count, 3))
    smooth = [cv2.GaussianBlur(image, (0, 0), 1.5) * colour for image, colour in zip(noise, colours, strict=True)]
    return np.stack(smooth).astype(np.uint8)


def student(arch):
    """Return a network of random weights whose answers differ between images, as an untrained one's hardly do."""
    torch.manual_seed(0)
    network = build_student(arch, 3).train()
    images = normalise(torch.from_numpy(photographs(8, 32, 32)))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # statistics of these very images, not of steps on the way to them
        network(images)
        logits = network.eval()(images)
        head = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        head.bias.sub_(logits.mean(dim=0))
        scale = logits.std(dim=0).mean()
        head.weight.div_(scale)
        head.bias.div_(scale)
    return network


@pytest.mark.parametrize("mode", ["squash", "pad"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_resize_of_the_graph_is_that_of_prepare_but_for_a_grey_level(mode, height, width):
    image = photographs(1, height, width)[0]
    found = Resize(64, mode)(torch.from_numpy(image)[None])[0].numpy()
    expected = resize(image, 64, mode).astype(np.float32)
    assert np.abs(found - expected).max() <= 1
    if (height, width) in ((64, 64), (128, 128), (256, 256)):  # nothing to do, one half, one quarter
        np.testing.assert_array_equal(found, expected)


def test_the_border_of_pad_lies_where_prepare_puts_it():
    for height in range(1, 90):
        image = np.zeros((height, 61, 3), np.uint8)
        found = Resize(32, "pad")(torch.from_numpy(image)[None])[0].numpy()
        np.testing.assert_array_equal(found, resize(image, 32, "pad"), err_msg=str(height))


def test_an_unknown_way_of_resizing_is_refused():
    with pytest.raises(ValueError, match="'crop' is unknown"):
        Resize(32, "crop")


@pytest.mark.parametrize("arch", ["resnet18", "shufflenet_v2_x0_5", "mobilenet_v3", "small_cnn_3", "sarsn_18"])
def test_every_student_says_in_two_runtimes_what_it_says_in_torch(arch, tmp_path):
    network, file = student(arch), tmp_path / "student.onnx"
    file.write_bytes(to_bytes(to_onnx(Deployed(network, 32, "squash", 1.7), arch, {})))
    predictor = Predictor(network, CLASSES, 32, "squash", temperature=1.7)
    for name, load in RUNTIMES.items():
        run = load(file, 1)
        for count, height, width in ((1, 32, 32), (5, 32, 32), (3, 64, 64)):
            images = photographs(count, height, width)
            found, expected = run(images), predictor(images).probabilities
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, err_msg=f"{name} {count} {height}")
    answers = predictor(photographs(5, 32, 32)).probabilities
    assert np.ptp(answers, axis=0).max() > 0.1  # images that all look alike would show nothing


def test_the_same_student_gives_the_same_bytes_in_another_process():
    command, seed = [sys.executable, "-c", MADE_ELSEWHERE], {"PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=os.environ | seed, check=True, capture_output=True, text=True)
    torch.manual_seed(0)
    model = to_onnx(Deployed(build_student("small_cnn_3", 3), 32, "pad", 1.5), "it", {"a": None, "b": [1]})
    assert done.stdout.split()[-1] == hashlib.sha256(to_bytes(model)).hexdigest()


def test_the_file_names_no_path_and_holds_its_notes(tmp_path):
    notes = {"classes": ["Kratzer & Öl", "b"], "threshold": None}
    model = to_onnx(Deployed(build_student("small_cnn_3", 2), 32, "pad", 1.0), "it", notes)
    assert {entry.key: json.loads(entry.value) for entry in model.metadata_props} == notes
    data = to_bytes(model)
    for trace in (b"/site-packages", b".py", os.getcwd().encode()):
        assert trace not in data
    (tmp_path / "student.onnx").write_bytes(data)
    assert in_onnxruntime(tmp_path / "student.onnx", 1)(photographs(2, 40, 50)).shape == (2, 2)


def test_a_network_that_the_exporter_cannot_follow_says_what_to_do():
    class Stubborn(nn.Module):
        def forward(self, images):
            return images.float() if images.float().mean().item() > 3 else images.float() * 2

    with pytest.raises(ValueError, match=r"the student 'x' cannot be written as ONNX .*choose another student\.arch"):
        to_onnx(Stubborn(), "the student 'x'", {})
