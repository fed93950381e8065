"""Two processes with unequal shares of a batch against one process with all of it."""

import torch
from torch import distributed, multiprocessing, nn

from defectdistill.training.distributed import GlobalBatchNormSync, batch_weight

ROWS = 5  # shares of 3 and 2


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3)).train()


def images():
    return torch.randn(ROWS, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def loss_of(model, x):
    return model(x).square().mean() * batch_weight(x)


def share(rank, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    sync, model = GlobalBatchNormSync(), network()
    model = sync.apply(model)
    loss_of(model, images()[rank::2]).backward()
    for parameter in model.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad /= 2  # as data-parallel training does
    model = sync.revert(model)
    assert type(model[1]) is nn.BatchNorm2d
    if rank == 0:
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        torch.save((gradients, model.state_dict()), f"{folder}/result.pt")
    distributed.destroy_process_group()


def test_unequal_shares_give_the_gradients_and_statistics_of_the_whole_batch(tmp_path):
    multiprocessing.spawn(share, (str(tmp_path),), nprocs=2)
    gradients, state = torch.load(tmp_path / "result.pt")
    alone = network()
    loss_of(alone, images()).backward()
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-5, atol=1e-6)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-6)
