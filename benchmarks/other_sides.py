"""The sides of distill_step.py that are not ours, each in a process: prints 0 when ready, then a rate a line read.

    python other_sides.py FOLDER SIDE THREADS BATCH [TORCHDISTILL]

The data are uint8 arrays in memory for all; student, alignment and terms are the same on all sides. What differs is how
they are run: precision and memory format are left as each comes (fp32), the terms come from torch and pytorch-msssim.
"""

import logging
import sys
import time
from pathlib import Path

if len(sys.argv) > 5:
    sys.path.insert(0, sys.argv[5])

import numpy as np
import torch
import torch.nn.functional as F
from measure import serve
from plain_unet3plus import PlainUNet3Plus
from pytorch_msssim import ssim
from torch import nn
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from defectdistill import checkpoint
from defectdistill.distillation.alignment import Alignment
from defectdistill.models.normalise import normalise
from defectdistill.models.students import build_student, taps_of

LEVELS = {8: ("encoder.blocks.3", 512), 16: ("encoder.blocks.4", 1024)}  # stride: the teacher's module, its channels
BETA, GAMMA, WEIGHT = 0.5, 0.1, 0.3
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Images(Dataset):
    """Normalised images in memory, one at a time, as a data set is usually written."""

    def __init__(self, folder: Path):
        self.images = np.load(folder / "images.npy")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return normalise(torch.from_numpy(self.images[index : index + 1]))[0], index % 3


class AlignedStudent(nn.Module):
    """ResNet-18 with the alignment modules beside it, so that hooks can find their outputs."""

    def __init__(self):
        super().__init__()
        self.student = build_student("resnet18", 3)
        self.taps = taps_of(self.student, list(LEVELS))
        self.align8, self.align16 = (Alignment(self.taps[s].channels, LEVELS[s][1]) for s in LEVELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → logits (N, 3)."""
        logits, features = self.student.forward_with_features(x, self.taps)
        self.align8(features[8])
        self.align16(features[16])
        return logits


def feature_loss(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """Return the fused loss of [(aligned student, teacher)] from published parts, mean over the levels."""
    losses = []
    for student, teacher in pairs:
        low, high = teacher.amin((1, 2, 3), keepdim=True), teacher.amax((1, 2, 3), keepdim=True)
        x, y = ((maps - low) / (high - low).clamp_min(1e-6) for maps in (student, teacher))
        cosine = 1 - F.cosine_similarity(student, teacher).mean()
        losses.append(F.mse_loss(student, teacher) + BETA * cosine + GAMMA * (1 - ssim(x, y, data_range=1.0)))
    return torch.stack(losses).mean()


class FeatureTerm(nn.Module):
    """The feature loss as torchdistill calls a term."""

    def forward(self, student_io: dict, teacher_io: dict, targets: torch.Tensor) -> torch.Tensor:
        """Take the outputs that its hooks recorded."""
        pairs = [(student_io[f"align{s}"]["output"], teacher_io[LEVELS[s][0]]["output"]) for s in LEVELS]
        return feature_loss(pairs)


class LabelTerm(nn.Module):
    """Label-smoothed cross-entropy as torchdistill calls a term."""

    def forward(self, student_io: dict, teacher_io: dict, targets: torch.Tensor) -> torch.Tensor:
        """Take the student's own output."""
        return F.cross_entropy(student_io["."]["output"], targets, label_smoothing=0.1)


def torchdistill_steps(folder: Path, teacher: nn.Module, batch: int, cache: bool):
    """Yield after every step of training through torchdistill's own box and loop."""
    from torchdistill.common.constant import def_logger
    from torchdistill.core.distillation import get_distillation_box

    def_logger.setLevel(logging.ERROR)
    loader = {
        "dataset_id": "images",
        "sampler": {"class_or_func": SequentialSampler, "kwargs": {}},
        "kwargs": {"batch_size": batch, "num_workers": 0},
        "cache_output": str(folder / "torchdistill_cache") if cache else None,
    }
    config = {
        "num_epochs": 1,
        "train_data_loader": loader,
        "val_data_loader": loader | {"cache_output": None},
        "teacher": {
            "forward_proc": "forward_batch_only",
            "requires_grad": False,
            "forward_hook": {"input": [], "output": [module for module, _ in LEVELS.values()]},
        },
        "student": {
            "forward_proc": "forward_batch_only",
            "requires_grad": True,
            "forward_hook": {"input": [], "output": ["align8", "align16"]},
        },
        "optimizer": {"key": "AdamW", "kwargs": {"lr": 1e-4, "weight_decay": 5e-4}},
        "criterion": {
            "key": "WeightedSumLoss",
            "kwargs": {
                "sub_terms": {
                    "features": {"criterion": FeatureTerm(), "weight": WEIGHT},
                    "labels": {"criterion": LabelTerm(), "weight": 1.0},
                }
            },
        },
    }
    box = get_distillation_box(
        teacher, AlignedStudent().to(DEVICE), {"images": Images(folder)}, config, DEVICE, [], False, 1.0
    )
    for epoch in range(10**6):
        box.pre_epoch_process(epoch=epoch)
        for images, targets, supplement in box.train_data_loader:
            images, targets = images.to(DEVICE), targets.to(DEVICE)
            box.pre_forward_process()
            loss = box.forward_process(images, targets, supplement)
            box.post_forward_process(loss=loss)
            loss.item()  # its example logs the loss of every step
            yield


def plain_steps(folder: Path, teacher: nn.Module, batch: int):
    """Yield after every step of the loop that one writes first."""
    recorded = {}
    for stride, (module, _) in LEVELS.items():
        teacher.get_submodule(module).register_forward_hook(
            lambda _module, _inputs, output, stride=stride: recorded.__setitem__(stride, output)
        )
    model = AlignedStudent().to(DEVICE)
    for stride in LEVELS:
        getattr(model, f"align{stride}").register_forward_hook(
            lambda _module, _inputs, output, stride=stride: recorded.__setitem__(-stride, output)
        )
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=5e-4)
    while True:
        for images, targets in DataLoader(Images(folder), batch):
            images, targets = images.to(DEVICE), targets.to(DEVICE)
            with torch.no_grad():
                teacher(images)
            loss = F.cross_entropy(model(images), targets, label_smoothing=0.1)
            loss = loss + WEIGHT * feature_loss([(recorded[-stride], recorded[stride]) for stride in LEVELS])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()
            yield


def main() -> None:
    """Prepare, say so, and measure a few steps for every line on standard input."""
    folder, side, threads, batch = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    warm = side.endswith("_warm")
    measured = 5 if warm else 1  # the others take half a minute a step

    def prepare():
        teacher = checkpoint.load_into(PlainUNet3Plus(), folder / "teacher").eval().to(DEVICE)
        if side == "plain_loop":
            steps = plain_steps(folder, teacher, batch)
        else:
            steps = torchdistill_steps(folder, teacher, batch, cache=warm)
        for _ in range(len(Images(folder)) // batch + 1 if warm else 1):  # fills the cache
            next(steps)

        def rate(_: str) -> float:
            start = time.perf_counter()
            for _ in range(measured):
                next(steps)
            return measured * batch / (time.perf_counter() - start)

        return rate

    serve(prepare)


if __name__ == "__main__":
    main()
