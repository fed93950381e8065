import cv2
import numpy as np
import onnx
import pytest
import torch
from test_onnx_file import CLASSES, photographs, student

from defectdistill.data.packed import evenly
from defectdistill.export.deployed import Deployed
from defectdistill.export.export import Judges, Split, export_student, flat_metrics
from defectdistill.export.forms import FILES, INT8
from defectdistill.export.onnx_file import to_bytes, to_onnx
from defectdistill.export.parity import TOLERANCE, agreement, check, photographs_agreement
from defectdistill.export.quantise import outside_network, quantise
from defectdistill.predict import Predictor


@pytest.fixture(scope="module")
def network():
    return student("small_cnn_3")


@pytest.fixture(scope="module")
def model(network):
    return to_onnx(Deployed(network, 32, "pad", 1.5), "small_cnn_3", {"classes": CLASSES})


@pytest.fixture
def judges(network, tmp_path_factory):
    """A student that is right of every image, since its own answers are the labels."""
    predictor = Predictor(network, CLASSES, 32, "pad", temperature=1.5)
    images = photographs(12, 32, 32)
    labels = predictor(images).probabilities.argmax(axis=1)
    paths = [tmp_path_factory.mktemp("photographs") / f"{number}.png" for number in range(2)]
    for path, image in zip(paths, photographs(2, 64, 40), strict=True):
        cv2.imwrite(str(path), image)
    return Judges(predictor, Split(images, labels), Split(images[:5], labels[:5]), paths, 1)


def test_the_network_alone_becomes_whole_numbers_by_channel(model):
    quantised = quantise(model, photographs(6, 32, 32))
    weights = {entry.name: entry for entry in quantised.graph.initializer}
    (first,) = [node for node in quantised.graph.node if node.op_type == "Conv"][:1]
    by_output = {name: node for node in quantised.graph.node for name in node.output}
    held = by_output[first.input[1]]
    assert held.op_type == "DequantizeLinear"
    values, scales = (onnx.numpy_helper.to_array(weights[name]) for name in held.input[:2])
    assert values.dtype == np.int8
    assert scales.shape == (len(values),)
    assert len(set(scales.tolist())) > 1  # one a channel
    assert np.abs(values.astype(int)).max() <= 64  # seven bits
    kinds = [node.op_type for node in quantised.graph.node]
    assert kinds.index("MatMul") < kinds.index("QuantizeLinear")  # the resize is outside
    assert kinds[-1] == "Softmax"
    assert quantised.metadata_props[0].key == "classes"


def test_the_same_images_give_the_same_bytes(model):
    images = photographs(6, 32, 32)
    assert to_bytes(quantise(model, images)) == to_bytes(quantise(model, images))


def test_what_is_not_the_network_is_left_out():
    nodes = [onnx.helper.make_node(kind, [], [], name=kind) for kind in ("Cast", "MatMul", "Conv", "Relu")]
    nodes += [onnx.helper.make_node(kind, [], [], name=kind) for kind in ("Gemm", "Div", "Softmax")]
    assert outside_network(nodes) == ["Cast", "MatMul", "Div", "Softmax"]


def test_a_network_that_cannot_be_quantised_says_what_to_do():
    class Mean(torch.nn.Module):
        def forward(self, images):
            return torch.softmax(images.float().mean(dim=(1, 2)), dim=1)

    with pytest.raises(ValueError, match=r"cannot be quantised \(it has no convolution\): set export\.int8: false"):
        quantise(to_onnx(Mean(), "it", {}), photographs(2, 32, 32))


def test_int8_that_is_as_good_is_kept_and_the_validation_split_decides(judges, tmp_path):
    given = export_student(tmp_path, judges, "it", {"classes": CLASSES}, photographs(8, 32, 32), max_f1_drop=1.0)
    sure = judges.predictor(judges.val.images).probabilities.max(axis=1)  # of the right class, as the labels are made
    expected = {"accuracy": 1, "macro_f1": 1, "loss": -np.log(sure).mean()}
    assert given["fp32"]["scores"]["val"] == pytest.approx(expected, abs=1e-5)
    assert given["int8"]["kept"]
    assert (tmp_path / FILES[INT8]).stat().st_size == given["int8"]["bytes"]
    assert set(given["fp32"]["test"]) == {"onnxruntime", "openvino"}
    assert given["fp32"]["test"]["onnxruntime"]["images"] == 5
    assert given["fp32"]["photographs"]["openvino"]["images"] == 2
    assert 0 < given["int8"]["test"]["onnxruntime"]["largest_difference"] < 0.2
    metrics = flat_metrics(given)
    assert metrics["int8/kept"] == 1.0
    assert metrics["fp32/scores/val/macro_f1"] == given["fp32"]["scores"]["val"]["macro_f1"]


def test_torch_is_asked_once_for_both_files(judges, tmp_path, monkeypatch):
    asked = []
    predict = Predictor.__call__
    monkeypatch.setattr(Predictor, "__call__", lambda self, images: asked.append(len(images)) or predict(self, images))
    export_student(tmp_path, judges, "it", {}, photographs(8, 32, 32), max_f1_drop=1.0)
    assert sorted(asked) == [1, 1, 5]  # the photographs, and the test split


def test_int8_that_is_worse_is_not_kept(judges, tmp_path, monkeypatch):
    def spoilt(model, images):
        quantised = quantise(model, images)
        (gemm,) = [node for node in quantised.graph.node if node.op_type == "Gemm"]
        scale = next(node for node in quantised.graph.node if gemm.input[1] in node.output).input[1]
        (values,) = [entry for entry in quantised.graph.initializer if entry.name == scale]
        values.CopyFrom(onnx.numpy_helper.from_array(0 * onnx.numpy_helper.to_array(values) + 1e-9, scale))
        return quantised

    monkeypatch.setattr("defectdistill.export.export.quantise", spoilt)
    found = export_student(tmp_path, judges, "it", {}, photographs(8, 32, 32), max_f1_drop=0.02)
    assert found["int8"]["val_f1_drop"] > 0.02
    assert not found["int8"]["kept"]
    assert [path.name for path in tmp_path.iterdir()] == ["student.onnx"]


def test_without_int8_there_is_one_file(judges, tmp_path):
    assert export_student(tmp_path, judges, "it", {}, None, max_f1_drop=0.02)["int8"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["student.onnx"]


def test_a_file_that_differs_from_torch_is_refused(judges, tmp_path):
    judges.predictor.temperature = 1.0  # as if the graph had forgotten it
    wrong = Deployed(judges.predictor.student, 32, "pad", 1.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("defectdistill.export.export.Deployed", lambda *_: wrong)
        with pytest.raises(ValueError, match=r"onnxruntime differs from torch by .* this file must not be used"):
            export_student(tmp_path, judges, "it", {}, None, max_f1_drop=0.02)


def test_agreement_by_hand():
    expected, found = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[0.8, 0.2], [0.55, 0.45]], np.float32)
    got = agreement(expected, found)
    assert got == {"images": 2, "largest_difference": pytest.approx(0.15), "class_agreement": 0.5}


def test_without_a_photograph_nothing_is_compared():
    assert photographs_agreement(np.empty((0, 3)), {"onnxruntime": None}, []) == {}


def test_what_is_no_number_is_refused():
    found = agreement(np.array([[0.5, 0.5]]), np.array([[np.nan, 0.5]]))
    with pytest.raises(ValueError, match="differs from torch by nan"):
        check({"openvino": found}, TOLERANCE, "the test split")


@pytest.mark.parametrize(("length", "count", "expected"), [(5, 2, [0, 4]), (3, 9, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_images_are_taken_evenly(length, count, expected):
    assert evenly(list(range(length)), count) == expected
    assert evenly(np.arange(length), count).tolist() == expected
