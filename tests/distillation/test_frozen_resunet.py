import pytest
import torch

from defectdistill import checkpoint
from defectdistill.distillation.frozen import freeze_any, load_any
from defectdistill.distillation.frozen_resunet import FrozenResUNet
from defectdistill.models.class_map import class_evidence, class_maps
from defectdistill.models.resunet import ResUNet, resunet_config

BUILT = {"encoder": "tu-test_convnext", "global_context": True, "feature_fusion": True}


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    network = ResUNet(classes=3, **BUILT)
    for _ in range(2):  # batch norm has seen something
        network(torch.randn(4, 3, 64, 64))
    checkpoint.save(tmp_path, network.state_dict(), resunet_config(BUILT, ["a", "b", "c"], 64, "squash"))
    return tmp_path, network.eval()


def test_it_says_what_the_trained_network_says(trained):
    folder, network = trained
    frozen, x = freeze_any(folder, [8, 4], class_maps=True), torch.randn(2, 3, 64, 64)
    assert isinstance(frozen, FrozenResUNet)
    with torch.no_grad():
        logits, levels, answer = network(x), network.encode(x), frozen(x)
    assert torch.equal(answer.features[8], levels[1])
    for stride in (4, 8):
        torch.testing.assert_close(answer.maps[stride], class_maps(logits, [stride])[stride])
        assert answer.maps[stride].shape == (2, 4, 64 // stride, 64 // stride)
    torch.testing.assert_close(answer.scores, class_evidence(logits))
    assert (frozen.says, frozen.channels) == ({"features", "maps", "scores"}, 3)


def test_without_class_maps_the_encoder_alone_is_kept_and_cut_after_the_deepest_level(trained, tmp_path):
    frozen, x = freeze_any(trained[0], [16], class_maps=False), torch.randn(1, 3, 64, 64)
    assert {name.split(".")[1] for name in frozen.state_dict()} == {"encoder"}
    assert [tap.stride for tap in frozen.network.taps] == [4, 8, 16]
    assert len(frozen.state_dict()) < len(trained[1].encoder.state_dict())
    answer = frozen(x)
    with torch.no_grad():
        assert torch.equal(answer.features[16], trained[1].encode(x)[2])
    assert (list(answer.features), answer.maps, answer.scores, frozen.says) == ([16], {}, None, {"features"})
    frozen.save(tmp_path / "frozen")
    assert torch.equal(load_any(tmp_path / "frozen")(x).features[16], answer.features[16])


@pytest.mark.parametrize("asked", [{"features"}, {"maps"}, {"scores"}, {"maps", "scores"}])
def test_what_nobody_asks_for_is_not_computed(trained, asked):
    frozen, x = freeze_any(trained[0], [4], class_maps=True), torch.randn(1, 3, 64, 64)
    whole = frozen(x)
    frozen.only(asked)
    answer = frozen(x)
    assert (bool(answer.maps), answer.scores is not None) == ("maps" in asked, "scores" in asked)
    assert all(torch.equal(answer.maps[stride], whole.maps[stride]) for stride in answer.maps)
    assert answer.scores is None or torch.equal(answer.scores, whole.scores)
    assert (frozen.network.head is None) == (asked == {"features"})


def test_training_around_it_leaves_every_bit_of_it(trained):
    frozen = freeze_any(trained[0], [4], class_maps=True)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    head = torch.nn.Conv2d(24, 1, 1)
    both = torch.nn.ModuleDict({"teacher": frozen, "head": head}).train()
    optimiser = torch.optim.SGD(both.parameters(), lr=1.0)
    for _ in range(2):
        optimiser.zero_grad()
        head(frozen(torch.randn(2, 3, 64, 64)).features[4]).square().sum().backward()
        optimiser.step()
    assert not frozen.training
    assert all(torch.equal(value, before[name]) for name, value in frozen.state_dict().items())


def test_a_stride_that_the_encoder_does_not_have_is_named(trained):
    with pytest.raises(ValueError, match=r"teacher's encoder 'tu-test_convnext' has no feature level of stride \[2\]"):
        freeze_any(trained[0], [2, 4], class_maps=True)


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    frozen, x = freeze_any(trained[0], [4], class_maps=True), torch.randn(1, 3, 64, 64)
    frozen.save(tmp_path / "frozen")
    again = load_any(tmp_path / "frozen")
    assert torch.equal(again(x).maps[4], frozen(x).maps[4])
    assert not [parameter for parameter in again.parameters() if parameter.requires_grad]
