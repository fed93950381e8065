import importlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from defectdistill import checkpoint
from defectdistill.models.unet3plus import UNet3Plus, build_unet3plus


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_reference_size():
    assert parameters(UNet3Plus()) == 26_971_777


def reference_forward(model, x):
    """U-Net3+ written out as in the paper's Figure 1 and equation 1, for sizes that 16 divides."""
    e1, e2, e3, e4, e5 = model.encode(x)

    def node(index, scales):
        node = model.decoder.nodes[index]
        return node.fuse(torch.cat([branch(scale) for branch, scale in zip(node.branches, scales, strict=True)], 1))

    def pool(z, k):
        return F.max_pool2d(z, k, k)

    def up(z, k):
        return F.interpolate(z, scale_factor=k, mode="bilinear", align_corners=False)

    d4 = node(3, [pool(e1, 8), pool(e2, 4), pool(e3, 2), e4, up(e5, 2)])
    d3 = node(2, [pool(e1, 4), pool(e2, 2), e3, up(d4, 2), up(e5, 4)])
    d2 = node(1, [pool(e1, 2), e2, up(d3, 2), up(d4, 4), up(e5, 8)])
    d1 = node(0, [e1, up(d2, 2), up(d3, 4), up(d4, 8), up(e5, 16)])
    return model.decoder.head(d1)


def test_every_node_sees_all_five_scales_as_in_the_reference():
    torch.manual_seed(0)
    model, x = UNet3Plus(width=4).eval(), torch.randn(2, 3, 48, 32)
    torch.testing.assert_close(model(x), reference_forward(model, x))


@pytest.mark.parametrize("size", [(64, 64), (37, 50), (17, 17), (1, 17)])
@pytest.mark.parametrize("encoder", ["plain", "resnet18"])
def test_logits_have_the_size_of_the_image(size, encoder):
    model = UNet3Plus(out_channels=3, width=2, encoder=encoder).eval()
    assert model(torch.randn(1, 3, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("encoder", ["plain", "resnet18", "tu-convnext_atto", "efficientnet-b0"])
def test_gradients_reach_every_parameter_that_asks_for_one(encoder):
    model = UNet3Plus(width=2, encoder=encoder)
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


def test_logits_are_not_squashed():
    torch.manual_seed(0)
    model = UNet3Plus(width=2).eval()
    with torch.no_grad():
        model.decoder.head.bias.fill_(5.0)
    assert model(torch.randn(1, 3, 32, 32)).max() > 1.5  # a sigmoid inside would stop at 1


def test_saved_and_loaded_it_says_the_same(tmp_path):
    model, x = UNet3Plus(width=2).eval(), torch.randn(1, 3, 32, 32)
    checkpoint.save(tmp_path, model.state_dict(), {})
    loaded = checkpoint.load_into(UNet3Plus(width=2), tmp_path).eval()
    assert torch.equal(model(x), loaded(x))


def test_weights_of_a_file_are_taken_but_for_the_head(tmp_path):
    binary = UNet3Plus(width=2, out_channels=1)
    checkpoint.save(tmp_path, binary.state_dict(), {})
    network = build_unet3plus("plain", 2, out_channels=3, weights=str(tmp_path / "weights.safetensors"))
    assert torch.equal(network.encoder.blocks[0][0][0].weight, binary.encoder.blocks[0][0][0].weight)
    assert network.decoder.head.weight.shape[0] == 3


def test_weights_of_another_width_are_refused(tmp_path):
    checkpoint.save(tmp_path, UNet3Plus(width=4).state_dict(), {})
    with pytest.raises(ValueError, match="does not fit"):
        build_unet3plus("plain", 2, out_channels=1, weights=str(tmp_path))


@pytest.mark.parametrize(
    ("encoder", "weights", "message"),
    [("plain", "imagenet", "no ImageNet weights"), ("resnet19", "none", "expected 'plain' or one of")],
)
def test_what_does_not_exist_is_named(encoder, weights, message):
    with pytest.raises(ValueError, match=message):
        build_unet3plus(encoder, 2, 1, weights)


def test_what_the_benchmarks_measure_it_against_is_the_plain_form(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    plain = importlib.import_module("plain_unet3plus").PlainUNet3Plus(width=2).double().eval()
    fast = UNet3Plus(width=2).double().eval()
    fast.load_state_dict(plain.state_dict())
    x = torch.randn(1, 3, 32, 48, dtype=torch.float64)
    expected = fast(x)
    for name in ("convolve_at", "convolve_to_few"):
        monkeypatch.setattr(f"defectdistill.models.unet3plus.{name}", None)
    torch.testing.assert_close(plain(x), expected, rtol=1e-9, atol=1e-9)
