import pytest
import torch
from torch import nn

from defectdistill.distillation.frozen_unet3plus import FrozenUNet3Plus, freeze_unet3plus
from defectdistill.models.class_map import class_evidence, class_maps
from defectdistill.models.unet3plus import UNet3Plus

CONFIG = {"encoder": "plain", "width": 4, "in_channels": 3, "out_channels": 1}


def trained(encoder="plain"):
    torch.manual_seed(0)
    model = UNet3Plus(width=4, encoder=encoder)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return model.eval()


@pytest.mark.parametrize("encoder", ["plain", "resnet18", "efficientnet-b0", "dpn68"])
def test_it_says_what_the_trained_encoder_says(encoder):
    model = trained(encoder)
    teacher = freeze_unet3plus(model, CONFIG | {"encoder": encoder}, [8, 16])
    x = torch.randn(2, 3, 64, 64)
    levels = dict(zip([tap.stride for tap in model.taps], model.encode(x), strict=True))
    answer = teacher(x)
    assert set(answer.features) == set(answer.maps) == {8, 16}
    for stride, feature in answer.features.items():
        torch.testing.assert_close(feature, levels[stride], rtol=1e-4, atol=1e-5)
    logits = model(x)
    torch.testing.assert_close(answer.scores, class_evidence(logits), rtol=1e-3, atol=1e-4)
    for stride, each in answer.maps.items():
        torch.testing.assert_close(each, class_maps(logits, [stride])[stride], rtol=1e-3, atol=1e-4)


def test_it_is_cut_after_the_deepest_level_and_has_no_batch_norm():
    full, teacher = trained(), freeze_unet3plus(trained(), CONFIG, [4, 8], class_maps=False)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in teacher.modules())
    kept = sum(parameter.numel() for parameter in teacher.parameters())
    assert kept < sum(parameter.numel() for parameter in full.encoder.blocks[:4].parameters()) + 1
    answer = teacher(torch.randn(1, 3, 32, 32))
    assert (set(answer.features), answer.maps, answer.scores) == ({4, 8}, {}, None)


def test_what_nobody_asks_for_is_not_computed():
    teacher, x = freeze_unet3plus(trained(), CONFIG, [4, 8]), torch.randn(1, 3, 32, 32)
    whole = teacher(x)
    teacher.only({"maps"})
    answer = teacher(x)
    assert answer.scores is None
    assert all(torch.equal(answer.maps[stride], whole.maps[stride]) for stride in (4, 8))
    teacher.only({"features"})
    answer = teacher(x)
    assert (set(answer.features), answer.maps, answer.scores, teacher.decoder) == ({4, 8}, {}, None, None)


@pytest.mark.parametrize("encoder", ["plain", "efficientnet-b0"])  # the second keeps batch norms that are not folded
def test_training_around_it_leaves_every_bit_of_it(encoder):
    teacher = freeze_unet3plus(trained(encoder), CONFIG | {"encoder": encoder}, [8])
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    x = torch.randn(4, 3, 32, 32)
    system = nn.ModuleDict({"teacher": teacher, "head": nn.Conv2d(teacher.taps[8].channels, 2, 1)}).train()
    optimiser = torch.optim.AdamW(system.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        system.train()
        loss = system["head"](system["teacher"](x).features[8]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert not teacher.training
    assert not any(module.training for module in teacher.modules())
    assert all(torch.equal(before[key], value) for key, value in teacher.state_dict().items())


def test_saved_and_loaded_it_says_the_same(tmp_path):
    teacher, x = freeze_unet3plus(trained(), CONFIG, [8, 16]), torch.randn(1, 3, 64, 64)
    teacher.save(tmp_path)
    loaded = FrozenUNet3Plus.load(tmp_path)
    again = loaded(x).arrays()
    assert len(again) == 5
    assert all(torch.equal(value, again[name]) for name, value in teacher(x).arrays().items())
    assert loaded.config["strides"] == [8, 16]


def test_a_stride_that_the_encoder_lacks_is_named():
    with pytest.raises(ValueError, match=r"no feature level of stride \[32\]"):
        freeze_unet3plus(trained(), CONFIG, [8, 32])
