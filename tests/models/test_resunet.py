import pytest
import torch

from defectdistill.models.resunet import GlobalContext, ResUNet

SMALL = "tu-convnext_atto"  # the smallest of the family: the same code in a moment


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("encoder", "with_both", "millions"),
    [("tu-convnext_tiny", False, 33.91), ("tu-convnext_tiny", True, 36.02), ("tu-convnext_base", True, 100.98)],
)
def test_it_has_the_papers_number_of_parameters(encoder, with_both, millions):
    with torch.device("meta"):
        network = ResUNet(encoder, 4, with_both, with_both)
    assert parameters(network) / 1e6 == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 47)])
@pytest.mark.parametrize("with_both", [False, True])
def test_logits_have_the_size_of_the_image(size, with_both):
    network = ResUNet(SMALL, 3, with_both, with_both).eval()
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        assert network(x).shape == (1, 3, *size)
        assert [tuple(level.shape[:2]) for level in network.encode(x)] == [(1, tap.channels) for tap in network.taps]
    assert [tap.stride for tap in network.taps] == [4, 8, 16, 32]


def test_gradients_reach_every_parameter():
    network = ResUNet(SMALL, 2, True, True)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    lost = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert not lost


def test_global_context_adds_one_vector_to_every_position():
    block, x = GlobalContext(5), torch.randn(2, 5, 4, 3)
    added = (block(x) - x).flatten(2)
    torch.testing.assert_close(added, added[:, :, :1].expand_as(added), rtol=1e-4, atol=1e-5)
    weights = block.attention(x).flatten(2).softmax(2)[:, 0]  # (N, H·W), by hand
    context = torch.einsum("np,ncp->nc", weights, x.flatten(2))
    torch.testing.assert_close(added[:, :, 0], block.transform(context), rtol=1e-4, atol=1e-5)


def test_an_unknown_encoder_is_named():
    with pytest.raises(ValueError, match=r"'nonsense': expected 'plain' or one of"):
        ResUNet("nonsense", 2, False, False)
