"""Two processes with unequal shares of a batch against one process with all of it."""

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing, nn

from defectdistill.data.batches import NO_LABEL
from defectdistill.models.students import Student
from defectdistill.training.class_weights import ClassWeights
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.distillation import Distilling, mixed
from defectdistill.training.distributed import GlobalBatchNormSync, batch_weight
from defectdistill.training.segmentation_loss import SegmentationLoss
from defectdistill.training.segmentation_student import SegmentationStudentTask
from defectdistill.training.segmentation_teacher import SegmentationRates, SegmentationTask

ROWS = 5  # shares of 3 and 2


def network():
    torch.manual_seed(0)
    maps = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*maps, nn.Flatten(), nn.BatchNorm1d(2), nn.Linear(2, 2)).train()


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
    assert (type(model[1]), type(model[6])) == (nn.BatchNorm2d, nn.BatchNorm1d)
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


class Sharpness(nn.Module):
    """Stands for a method: something of the student's logits alone, mean over the images."""

    needs = frozenset({"scores"})

    def forward(self, student, teacher):
        return {"total": student.scores.square().mean()}


class Segmenter(nn.Module):
    """Stands for a teacher of two channels."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.Module()
        self.decoder.head = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        return self.decoder.head(x)


class Painter(nn.Module):
    """Stands for a student that segments."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 2, 3, padding=1)

    def forward_with_features(self, x, taps):
        return self.head(x), {}


def task_of(kind):
    torch.manual_seed(0)
    if kind == "teacher":
        return SegmentationTask(
            Segmenter(), SegmentationLoss("ce_dice_image"), SegmentationRates(0.1, "cosine", 0.0, 2)
        )
    if kind == "segmentation":
        rates = Optimisation(lr=0.1, min_lr=0.0, weight_decay=0.0, warmup=0, epochs=2)
        parts = {
            "student": Painter(),
            "classes": 2,
            "optimisation": rates,
            "pixel_weights": torch.tensor([0.5, 1.0, 2.0]),
        }
        return mixed(Distilling, SegmentationStudentTask)(parts, Sharpness(), {}, (0.5, 0.5))
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    student = Student(nn.Sequential(*layers))
    rates = Optimisation(lr=0.1, min_lr=0.0, weight_decay=0.0, warmup=0, epochs=2, label_smoothing=0.1)
    weighting = ClassWeights("adaptive", np.array([0, 0, 0, 1, 2]), 3) if kind == "weighted" else None
    if weighting:
        weighting.weights.copy_(torch.tensor([0.5, 2.0, 1.5]))
    parts = {"student": student, "classes": 3, "optimisation": rates, "weighting": weighting}
    return mixed(Distilling, ClassificationTask)(parts, Sharpness(), {}, (0.5, 0.5))


def batch_of(kind):
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (ROWS, 8, 8, 3), generator=generator, dtype=torch.uint8)
    if kind in ("teacher", "segmentation"):
        masks = torch.randint(0, 3, (ROWS, 8, 8), generator=generator, dtype=torch.uint8)
        masked = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0])
        return {"image": pictures, "mask": masks, "label": torch.tensor([0, 1, 1, 0, 1]), "masked": masked}
    return {"image": pictures, "label": torch.tensor([0, NO_LABEL, 2, 1, NO_LABEL])}  # shares of 2 and 1 labels


def share_of_task(rank, kind, folder):
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    task = task_of(kind)
    task.training_step({name: value[rank::2] for name, value in batch_of(kind).items()}).backward()
    for parameter in task.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad /= 2
    if rank == 0:
        torch.save({name: parameter.grad for name, parameter in task.named_parameters()}, f"{folder}/result.pt")
    if kind == "weighted":
        task.on_train_epoch_end()  # the next epoch's weights: of both processes' images
        torch.save(task.weighting.weights, f"{folder}/weights{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("kind", ["teacher", "student", "weighted", "segmentation"])
def test_images_without_a_label_or_mask_and_overlap_weigh_as_in_one_process(tmp_path, kind):
    multiprocessing.spawn(share_of_task, (kind, str(tmp_path)), nprocs=2)
    gradients, alone = torch.load(tmp_path / "result.pt"), task_of(kind)
    alone.training_step(batch_of(kind)).backward()
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)
    if kind == "weighted":
        alone.on_train_epoch_end()
        assert (alone.weighting.weights != torch.tensor([0.5, 2.0, 1.5])).any()
        for rank in range(2):
            torch.testing.assert_close(torch.load(tmp_path / f"weights{rank}.pt"), alone.weighting.weights)
