import re

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from defectdistill import checkpoint
from defectdistill.checkpoint import load_all_but_head
from defectdistill.models.normalise import MEAN, STD
from defectdistill.models.students import build_student, taps_of
from defectdistill.models.taps import find_taps


@pytest.mark.parametrize(
    ("arch", "stride8", "stride16"),
    [
        ("resnet18", ("layer2", 128), ("layer3", 256)),
        ("resnet34", ("layer2", 128), ("layer3", 256)),
        ("shufflenet_v2", ("stage2", 116), ("stage3", 232)),
        ("mobilenet_v3", ("features.3", 24), ("features.8", 48)),
        ("efficientnet_b0", ("features.3", 40), ("features.5", 112)),
        ("densenet121", ("features.denseblock2", 512), ("features.denseblock3", 1024)),
        ("convnext_tiny", ("features.3", 192), ("features.5", 384)),
    ],
)
def test_levels_are_the_last_stage_of_their_stride(arch, stride8, stride16):
    student = build_student(arch, classes=3)
    taps = taps_of(student, [8, 16])
    assert (taps[8].module, taps[8].channels) == stride8
    assert (taps[16].module, taps[16].channels) == stride16
    logits, features = student.eval().forward_with_features(torch.randn(2, 3, 64, 64), taps)
    assert logits.shape == (2, 3)
    assert features[8].shape == (2, stride8[1], 8, 8)
    assert features[16].shape == (2, stride16[1], 4, 4)


@pytest.mark.parametrize("arch", ["googlenet", "inception_v3"])
def test_networks_whose_imagenet_weights_know_other_pixels_scale_them(arch):
    """Their weights were learned from pixels in [−1, 1]; everything here is given ImageNet's mean and deviation."""
    network = build_student(arch, classes=3).network
    pixels = torch.rand(1, 3, 96, 96)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    torch.testing.assert_close(network._transform_input((pixels - mean) / deviation), 2 * pixels - 1)


def test_features_do_not_outlive_their_forward_pass():
    student = build_student("shufflenet_v2", 2)
    taps = taps_of(student, [8])
    _, features = student.forward_with_features(torch.randn(2, 3, 64, 64), taps)
    before = features[8]
    student(torch.randn(2, 3, 64, 64))
    assert features[8] is before


def test_probing_changes_nothing():
    network = torchvision.models.resnet18(num_classes=2)
    network.layer1.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    find_taps(network)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert modes == [module.training for module in network.modules()]
    assert not any(module._forward_hooks for module in network.modules())


def test_a_pooling_to_a_fixed_size_is_no_level():
    """As a VGG's: 7 x 7 of an image of 224 pixels, which looks like stride 32, and of every other."""
    network = nn.Sequential()
    network.features = nn.Conv2d(3, 4, kernel_size=32, stride=32)
    network.avgpool = nn.AdaptiveAvgPool2d(7)
    assert {stride: tap.module for stride, tap in find_taps(network).items()} == {32: "features"}


def test_a_level_that_the_student_lacks_is_named():
    with pytest.raises(ValueError, match=r"student SwinTransformer has no feature level of stride \[8, 16\]"):
        taps_of(build_student("swin_t", 3), [8, 16])


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"student.arch = 'resnet17': expected one of .*mobilenet_v3, .*resnet18"):
        build_student("resnet17", 3)


def test_weights_of_a_file_are_taken_but_for_the_head(tmp_path):
    torch.manual_seed(1)
    source = torchvision.models.resnet18(num_classes=10)
    save_file({key: value.contiguous() for key, value in source.state_dict().items()}, tmp_path / "w.safetensors")
    student = build_student("resnet18", 3, str(tmp_path / "w.safetensors"))
    assert torch.equal(student.network.layer3[0].conv1.weight, source.layer3[0].conv1.weight)
    assert student.network.fc.weight.shape == (3, 512)


def test_a_checkpoint_folder_starts_another_student(tmp_path):
    first = build_student("shufflenet_v2", 3)
    checkpoint.save(tmp_path, first.state_dict(), {})
    second = build_student("shufflenet_v2", 3, str(tmp_path))
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


def test_imagenet_weights_go_through_the_same_door(monkeypatch):
    source = torchvision.models.shufflenet_v2_x1_0(weights=None)  # 1000 classes, as the published weights

    def fetched(self, **kwargs):
        assert kwargs["check_hash"]
        return source.state_dict()

    monkeypatch.setattr(torchvision.models.ShuffleNet_V2_X1_0_Weights, "get_state_dict", fetched)
    student = build_student("shufflenet_v2", 3, "imagenet")
    assert torch.equal(student.network.conv1[0].weight, source.conv1[0].weight)
    assert student.network.fc.weight.shape[0] == 3


def test_old_names_in_published_weights_are_understood(monkeypatch):
    source = torchvision.models.densenet121(weights=None)
    old = {
        re.sub(r"(denselayer\d+)\.(norm|conv)(\d)", r"\1.\2.\3", key): value
        for key, value in source.state_dict().items()
        if not key.endswith("num_batches_tracked")  # younger than those files
    }
    monkeypatch.setattr(torchvision.models.DenseNet121_Weights, "get_state_dict", lambda self, **kwargs: old)
    student = build_student("densenet121", 3, "imagenet")
    name = "features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(student.network.state_dict()[name], source.state_dict()[name])


def test_auxiliary_classifiers_are_left_out():
    student = build_student("googlenet", 3).train()
    assert student(torch.randn(2, 3, 64, 64)).shape == (2, 3)
    assert not any("aux" in name for name, _ in student.named_parameters())


def test_weights_of_another_architecture_are_refused():
    network = torchvision.models.resnet18(num_classes=3)
    with pytest.raises(ValueError, match=r"the file does not fit: .* should be .* and is nothing"):
        load_all_but_head(network, torchvision.models.shufflenet_v2_x0_5().state_dict(), "the file")


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"'nowhere.safetensors' not found: expected 'none', 'imagenet'"):
        build_student("resnet18", 3, "nowhere.safetensors")


@pytest.mark.parametrize("arch", ["resnet18", "shufflenet_v2", "mobilenet_v3"])
def test_gradients_reach_every_parameter(arch):
    student = build_student(arch, 3)
    student(torch.randn(2, 3, 64, 64)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
