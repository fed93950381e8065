"""Model folders from elsewhere: every way of loading one refuses what does not fit, in one sentence that names it."""

import json
import pickle
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from defectdistill import checkpoint, model_sections, sections
from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus, freeze_unet3plus
from defectdistill.model_forms import LARGEST_SIDE, LARGEST_WIDTH
from defectdistill.models.segmenter import Segmenter
from defectdistill.models.students import build_student, classifier_config
from defectdistill.models.unet3plus import build_unet3plus, unet3plus_config
from defectdistill.predict import Predictor

LOADERS = {"student": Predictor.load, "teacher": Segmenter.load, "frozen_teacher": FrozenUNet3Plus.load}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder with one good model of each kind."""
    folder = tmp_path_factory.mktemp("models")
    student = build_student("shufflenet_v2_x0_5", 3)
    config = classifier_config("shufflenet_v2_x0_5", ["a", "b", "c"], 48, "pad")
    checkpoint.save(folder / "student", student.state_dict(), config)
    teacher = build_unet3plus("plain", 2, 1)
    config = unet3plus_config("plain", 2, ["defect"], 32, "squash")
    checkpoint.save(folder / "teacher", teacher.state_dict(), config)
    freeze_unet3plus(teacher, config["unet3plus"], [4, 8]).save(folder / "frozen_teacher")
    return folder


@pytest.fixture(params=LOADERS)
def model(request, good, tmp_path):
    """A copy of each good model, and what loads it."""
    return shutil.copytree(good / request.param, tmp_path / request.param), LOADERS[request.param]


def refusal(folder, load):
    """Return the error's words; whatever else is raised (KeyError, TypeError, MemoryError) fails the test."""
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load(folder)
    assert type(caught.value) in (ValueError, FileNotFoundError)  # no subclass: nobody's raw error
    assert str(folder) in str(caught.value)
    return str(caught.value)


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, end):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


class Bomb:
    """Says that it ran, where somebody unpickles it."""

    ran = False

    def __reduce__(self):
        return (setattr, (Bomb, "ran", True))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(pickle.dumps(Bomb()), id="pickle"),
        pytest.param(b"PK\x03\x04" + bytes(200), id="zip"),
        pytest.param(safetensors(b"{}", length=2**60), id="header too long"),
        pytest.param(safetensors(b"{{{{"), id="header no JSON"),
        pytest.param(safetensors(b'{"a":' + b"[" * 100_000), id="header too deep"),
        pytest.param(safetensors(tensor("F32", [10**9], 4), bytes(4)), id="shape lies"),
        pytest.param(safetensors(tensor("F32", [2**62, 2**62], 4), bytes(4)), id="shape overflows"),
        pytest.param(safetensors(tensor("F32", [2], 8), bytes(4)), id="data cut"),
        pytest.param(safetensors(tensor("X9", [1], 4), bytes(4)), id="unknown kind of number"),
        pytest.param(safetensors(tensor("F6_E2M3", [4], 3), bytes(3)), id="kind that torch has not"),
    ],
)
def test_weights_that_are_no_safetensors_are_refused(model, content):
    folder, load = model
    (folder / "weights.safetensors").write_bytes(content)
    assert "is no safetensors file, or a damaged one" in refusal(folder, load) or "are too few" in refusal(folder, load)
    assert not Bomb.ran


def test_a_file_that_is_cut_is_refused(model):
    folder, load = model
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert "dvc checkout" in refusal(folder, load)


def test_missing_weights_are_named(model):
    folder, load = model
    (folder / "weights.safetensors").unlink()
    assert "not found" in refusal(folder, load)


def changed(folder, change):
    weights = load_file(folder / "weights.safetensors")
    floats = [key for key, value in weights.items() if value.is_floating_point() and value.ndim]
    change(weights, floats[0])
    save_file(weights, folder / "weights.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda weights, key: weights.pop(key), "and is nothing"),
        (lambda weights, key: weights.update(extra=torch.zeros(1)), "extra should be nothing and is float32 (1,)"),
        (lambda weights, key: weights.update({key: torch.zeros(10**6, 0)}), "(1000000, 0)"),
        (lambda weights, key: weights.update({key: weights[key].long()}), "and is int64"),
        (lambda weights, key: weights.update({key: weights[key].to(torch.complex64)}), "and is complex64"),
        (lambda weights, key: weights[key].view(-1)[:1].fill_(float("nan")), "not finite"),
        (lambda weights, key: weights[key].view(-1)[:1].fill_(float("-inf")), "not finite"),
    ],
    ids=["missing", "too much", "shape", "whole numbers", "complex", "NaN", "infinity"],
)
def test_weights_that_do_not_fit_are_refused(model, change, words):
    folder, load = model
    changed(folder, change)
    assert words in refusal(folder, load)


def test_half_precision_is_taken(model):
    folder, load = model
    changed(folder, lambda weights, key: weights.update({key: weights[key].half()}))
    load(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", "{}", "[" * 100_000, "1" * 5000, '"' + "x" * 2_000_000 + '"', "\ufeff{}"],
    ids=["empty", "cut", "list", "number", "null", "no key", "too deep", "too many digits", "too long", "mark"],
)
def test_a_model_json_that_is_none_is_refused(model, text):
    folder, load = model
    (folder / "model.json").write_text(text)
    assert len(refusal(folder, load)) < 500


def test_bytes_that_are_no_text_are_refused(model):
    folder, load = model
    (folder / "model.json").write_bytes(b'{"student": "\xff"}')
    assert "is no JSON" in refusal(folder, load)


def with_value(folder, key, value):
    path = folder / "model.json"
    config = json.loads(path.read_text())
    *parts, last = key.split(".")
    section = config
    for part in parts:
        section = section[part]
    section[last] = value
    path.write_text(json.dumps(config))


CLASSIFIER = [
    ("student", None), ("student", ["resnet18"]), ("student", {}), ("student.arch", 3), ("student.arch", ""),
    ("student.arch", "resnet17"), ("student.arch", "../resnet18"), ("student.arch", "x" * 10**5),
    ("student.weights", "imagenet"), ("classes", "abc"), ("classes", []), ("classes", ["a", "b"]),
    ("classes", ["a", "b", 3]), ("classes", ["a", "b", "\x1b[2J"]),
    ("classes", ["a", "b", "a"]), ("classes", ["a", "b", "c", "d"]),
    ("classes", [str(number) for number in range(10**5)]), ("preprocessing", {}), ("preprocessing.size", 10**9),
    ("preprocessing.size", 0), ("preprocessing.size", 48.0), ("preprocessing.size", True),
    ("preprocessing.size", float("nan")), ("preprocessing.resize", "crop"), ("preprocessing.normalise", "none"),
]  # fmt: skip
TEACHER = [
    ("unet3plus", []), ("unet3plus.width", 10**9), ("unet3plus.width", 10**30), ("unet3plus.width", LARGEST_WIDTH),
    ("unet3plus.width", -2), ("unet3plus.width", "2"), ("unet3plus.width", 3), ("unet3plus.in_channels", 10**9),
    ("unet3plus.out_channels", 10**9), ("unet3plus.out_channels", 2), ("unet3plus.encoder", "resnet19"),
    ("unet3plus.encoder", "tu-hf-hub:somebody/model"), ("unet3plus.encoder", "tu-local-dir:/tmp"),
    ("unet3plus.encoder", "tu-no_such_model"), ("unet3plus.encoder", "dpn68"), ("unet3plus.encoder", "resnet18"),
    ("unet3plus.encoder", None), ("unet3plus.pretrained", True), ("channels", ["defect", "another"]),
]  # fmt: skip
FROZEN = [
    ("frozen_teacher", 1), ("frozen_teacher.width", 10**9), ("frozen_teacher.width", LARGEST_WIDTH),
    ("frozen_teacher.in_channels", 10**9), ("frozen_teacher.strides", []), ("frozen_teacher.strides", [3]),
    ("frozen_teacher.strides", [10**9]), ("frozen_teacher.strides", ["8"]), ("frozen_teacher.strides", 8),
    ("frozen_teacher.strides", [8] * 7), ("frozen_teacher.strides", [32]), ("frozen_teacher.encoder", "tu-hf-hub:a/b"),
    ("frozen_teacher.encoder", "resnet18"), ("frozen_teacher.pretrained", True),
    ("frozen_teacher.out_channels", 10**9), ("frozen_teacher.out_channels", 2), ("frozen_teacher.class_maps", False),
]  # fmt: skip
FAULTS = [(kind, *fault) for kind, list_ in zip(LOADERS, (CLASSIFIER, TEACHER, FROZEN), strict=True) for fault in list_]


@pytest.mark.parametrize(("kind", "key", "value"), FAULTS, ids=[f"{k}={str(v)[:20]}" for _, k, v in FAULTS])
def test_values_that_build_no_such_model_are_refused(good, tmp_path, kind, key, value):
    folder = shutil.copytree(good / kind, tmp_path / kind)
    with_value(folder, key, value)
    # A value that is huge is not printed whole; an unknown architecture lists those that are known.
    assert len(refusal(folder, LOADERS[kind])) < 2500


def test_every_wrong_value_is_named_with_what_was_expected(good, tmp_path):
    folder = shutil.copytree(good / "student", tmp_path / "student")
    with_value(folder, "preprocessing.size", "48")
    with_value(folder, "preprocessing.resize", "crop")
    words = refusal(folder, Predictor.load)
    assert "preprocessing.size = '48': Input should be a valid integer" in words
    assert "preprocessing.resize = 'crop': Input should be 'squash' or 'pad'" in words


@pytest.mark.parametrize(
    ("kind", "key", "builder"),
    [
        ("teacher", "unet3plus.width", "defectdistill.models.segmenter.UNet3Plus"),
        ("frozen_teacher", "frozen_teacher.width", "defectdistill.distillation.frozen_unet3plus.build_encoder"),
    ],
)
def test_an_absurd_width_is_refused_before_anything_is_built(good, tmp_path, monkeypatch, kind, key, builder):
    folder = shutil.copytree(good / kind, tmp_path / kind)
    with_value(folder, key, LARGEST_WIDTH)  # 7 GB, were the teacher built
    monkeypatch.setattr(builder, None)  # building would raise a TypeError
    assert "are too few" in refusal(folder, LOADERS[kind])


def test_one_kind_is_not_taken_for_another(good):
    for kind, load in LOADERS.items():
        for other in LOADERS.keys() - {kind}:
            assert f"give models/{kind}" in refusal(good / other, load)


def test_whatever_params_allow_can_be_loaded_again():
    limits = {
        limit.le for limit in model_sections.UNet3PlusTeacher.model_fields["width"].metadata if hasattr(limit, "le")
    }
    assert limits == {LARGEST_WIDTH}
    limits = {limit.le for limit in sections.Prepare.model_fields["image_size"].metadata if hasattr(limit, "le")}
    assert max(limits) <= LARGEST_SIDE


def test_good_models_load_and_keys_that_nothing_reads_do_not_hinder(model):
    folder, load = model
    with_value(folder, "note", "from a colleague")
    load(folder)
