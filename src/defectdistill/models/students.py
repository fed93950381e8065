"""Classifiers by name, torchvision's and a few of our own, with their feature levels tapped by stride."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import torch
import torchvision
from torch import nn

from defectdistill.checkpoint import load_all_but_head, read_weights
from defectdistill.models.sarsn import BLOCKS, sarsn
from defectdistill.models.small_cnn import SmallCNN
from defectdistill.models.taps import Tap, find_taps, select_taps

# Short names for the paper's students. [choice] The paper gives no size: the small V3 keeps the idea of a compact one.
ALIASES = {"shufflenet_v2": "shufflenet_v2_x1_0", "mobilenet_v3": "mobilenet_v3_small"}

OWN = ("small_cnn_WIDTH", *(f"sarsn_{depth}" for depth in BLOCKS))
WIDEST = 512  # of small_cnn: a name must not be able to ask for gigabytes


class Student(nn.Module):
    """A classifier that also hands out the features of its levels.

    `network` is the classifier itself, (N, 3, H, W) → logits (N, K).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def taps(self) -> dict[int, Tap]:
        """Return the feature levels as {stride: Tap}; see `find_taps`."""
        return find_taps(self.network)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) float, normalised → logits (N, K)."""
        return self.network(x)

    def forward_with_features(self, x: torch.Tensor, taps: dict[int, Tap]) -> tuple[torch.Tensor, dict]:
        """(N, 3, H, W) → logits (N, K) and {stride: (N, C, H/stride, W/stride)} of the given taps."""
        with recorded(self.network, taps) as features:
            logits = self(x)
        return logits, features


@contextlib.contextmanager
def recorded(network: nn.Module, taps: dict[int, Tap]) -> Iterator[dict[int, torch.Tensor]]:
    """Yield a dictionary that the next forward pass fills with {stride: output of the tap's module}."""
    features: dict[int, torch.Tensor] = {}

    def keep(stride: int):
        return lambda _module, _inputs, output: features.__setitem__(stride, output)

    handles = [network.get_submodule(tap.module).register_forward_hook(keep(stride)) for stride, tap in taps.items()]
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()


def build_student(arch: str, classes: int, weights: str = "none") -> Student:
    """Return the classifier `arch` (a torchvision model name, one of ALIASES or of OWN) for `classes` classes.

    `weights` is 'none', 'imagenet' (torchvision downloads them) or a safetensors file or checkpoint folder. Of
    pretrained weights everything is taken whose name and shape fit; only the head may differ. Raises ValueError for
    an unknown name, and where weights do not fit.
    """
    name = ALIASES.get(arch, arch)
    own = own_network(name, classes)
    student = Student(own or library_network(arch, name, classes))
    if weights == "imagenet":
        if own:
            raise ValueError(f"student.weights = 'imagenet': there are none of {arch!r}; choose none, or a file")
        # Through the model: torchvision renames tensors of old files (DenseNet's) on their way in.
        pretrained = torchvision.models.get_model(name, weights="DEFAULT").state_dict()
        load_all_but_head(student.network, pretrained, f"the ImageNet weights of {name}")
    elif weights != "none":
        prefix = "network."
        stored = {key.removeprefix(prefix): value for key, value in read_weights(Path(weights)).items()}
        load_all_but_head(student.network, stored, weights)
    return student


def own_network(name: str, classes: int) -> nn.Module | None:
    """Return the network of our own with this name, None if there is none."""
    if (found := re.fullmatch(r"small_cnn_([1-9]\d{0,2})", name)) and int(found[1]) <= WIDEST:
        return SmallCNN(classes, int(found[1]))
    if (found := re.fullmatch(r"sarsn_(\d+)", name)) and int(found[1]) in BLOCKS:
        return sarsn(int(found[1]), classes)
    return None


def library_network(arch: str, name: str, classes: int) -> nn.Module:
    """Return torchvision's classifier `name`, without weights; raises ValueError, which says `arch`, if unknown."""
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise ValueError(f"student.arch = {arch!r}: expected one of {', '.join(sorted([*ALIASES, *OWN, *known]))}")
    # Inception and GoogLeNet without their auxiliary classifiers: one output, as of every other. Their ImageNet weights
    # know pixels in [−1, 1], which they make of what every other network is given.
    own = {"aux_logits": False, "init_weights": True, "transform_input": True}
    options = own if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, num_classes=classes, **options)


def taps_of(student: Student, strides: list[int]) -> dict[int, Tap]:
    """Return the student's taps at the given strides; raises ValueError naming those that it does not have."""
    return select_taps(student.taps(), strides, f"the student {type(student.network).__name__}")


def classifier_config(arch: str, classes: list[str], size: int, resize_mode: str) -> dict:
    """Return the model.json of a classifier: what builds it, its class names in order, and its preprocessing."""
    return {
        "student": {"arch": arch},
        "classes": classes,
        "preprocessing": {"size": size, "resize": resize_mode, "normalise": "imagenet"},
    }
