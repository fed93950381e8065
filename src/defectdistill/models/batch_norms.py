"""Which batch norms several processes can train: torch's own, which then see the whole batch."""

from torch import nn

TORCHS = nn.BatchNorm1d, nn.BatchNorm2d


def check_batch_norms(model: nn.Module, owner: str) -> None:
    """Raise ValueError where `model`, called `owner` in the message, has batch norms of a class derived from torch's.

    On GPUs they would become torch's over all processes and lose what else they do (timm's: an activation); on
    processors each process would go by the statistics of its own share.
    """
    kinds = {type(part) for part in model.modules() if isinstance(part, TORCHS)}
    if other := sorted(kind.__name__ for kind in kinds.difference(TORCHS)):
        raise ValueError(
            f"{owner}: its batch norms ({', '.join(other)}) cannot be taken over several processes: train in one "
            "(compute.devices: 1, compute.nodes: 1), or choose another, for example the encoder resnet34"
        )
