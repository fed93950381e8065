"""What an image counts for by its class: against NumPy, and what the training does with it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_tasks import ARCH, OPTIMISATION, pictures, train

from defectdistill.data.batches import NO_LABEL
from defectdistill.models.students import build_student
from defectdistill.training import class_weights as module
from defectdistill.training.class_weights import ClassWeights, adapted, class_weights
from defectdistill.training.classification import ClassificationTask, Optimisation
from defectdistill.training.fit import seed_everything

LABELS = np.array([0] * 12 + [1] * 6 + [2] * 2)


def by_hand(weights, hits, seen):
    """The formula of docs/methods.md, in fp64 NumPy."""
    recalls, accuracy = hits / seen, hits.sum() / seen.sum()
    shift = 0.5 * max(0.0, 1 - np.prod(recalls) ** (1 / len(recalls)) / accuracy)
    aim = (1 - shift) + shift * (1 - recalls) / (1 - recalls).mean()
    return 0.5 * weights + 0.5 * aim


@pytest.mark.parametrize("hits", [[12, 3, 0], [10, 4, 1], [3, 6, 2], [12, 6, 1]])
def test_the_adaptive_weights_are_the_formula(hits):
    weights, hits, seen = np.array([0.8, 1.0, 1.6]), np.array(hits, float), np.array([12.0, 6.0, 2.0])
    found = adapted(*(torch.from_numpy(values) for values in (weights, hits, seen)))
    np.testing.assert_allclose(found.numpy(), by_hand(weights, hits, seen), atol=1e-12)


def test_a_class_that_is_missed_counts_more_and_no_class_less_than_half():
    weights = torch.ones(3)
    for _ in range(20):
        weights = adapted(weights, torch.tensor([12.0, 6.0, 0.0]), torch.tensor([12.0, 6.0, 2.0]))
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.5, 2.0]), rtol=1e-4, atol=1e-4)


def test_where_all_classes_are_served_alike_the_weights_go_back_to_one():
    weights = torch.tensor([0.5, 0.5, 2.0])
    for share in (1.0, 0.5):
        found = weights
        for _ in range(20):
            found = adapted(found, share * torch.tensor([12.0, 6.0, 2.0]), torch.tensor([12.0, 6.0, 2.0]))
        torch.testing.assert_close(found, torch.ones(3), rtol=1e-4, atol=1e-4)


def test_what_was_not_seen_changes_nothing():
    weights = torch.tensor([0.5, 0.7, 1.8])
    assert torch.equal(adapted(weights, torch.zeros(3), torch.tensor([3.0, 1.0, 0.0])), weights)  # nothing right
    found = adapted(weights, torch.tensor([3.0, 1.0, 0.0]), torch.tensor([4.0, 4.0, 0.0]))
    assert found[2] == weights[2]
    assert found.isfinite().all()


def test_balanced_weights_are_inverse_frequencies_and_the_loss_keeps_its_size():
    weighting = ClassWeights("balanced", LABELS, 3)
    np.testing.assert_allclose(weighting.scaled().numpy(), 20 / (3 * np.array([12, 6, 2])), rtol=1e-6)
    losses = weighting(torch.ones(20), torch.from_numpy(LABELS))
    assert losses.mean().item() == pytest.approx(1)
    adaptive = ClassWeights("adaptive", LABELS, 3)
    assert torch.equal(adaptive(torch.ones(20), torch.from_numpy(LABELS)), torch.ones(20))


def test_a_weighted_loss_by_hand_and_images_without_a_label_count_for_nothing():
    weighting = ClassWeights("balanced", LABELS, 3)
    task = ClassificationTask(build_student("small_cnn_3", 3), 3, Optimisation(**OPTIMISATION), weighting)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, NO_LABEL, 1])
    each = F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    known = labels != NO_LABEL
    expected = (each[known] * weighting.scaled()[labels[known]]).sum() / 3
    torch.testing.assert_close(task.hard_loss(logits, labels), expected)
    assert task.hard_loss(logits, torch.full((4,), NO_LABEL)) == 0


def test_none_is_the_training_without_weights():
    assert class_weights("none", LABELS, 3) is None


@pytest.mark.parametrize("kind", ["balanced", "adaptive"])
def test_a_weighted_training_learns_and_notes_its_weights(kind):
    seed_everything(0)
    rows = np.array([0, 2, 4, 6, 0, 2, 1, 3])  # six of one class, two of the other
    arrays = {key: value[rows] for key, value in pictures().items() if not key.startswith("mask")}
    weighting = ClassWeights(kind, arrays["label"], 2)
    task = ClassificationTask(build_student(ARCH, 2), 2, Optimisation(**OPTIMISATION), weighting)
    history = train(task, arrays, 3)
    assert all(np.isfinite(list(row.values())).all() for row in history)
    assert ("class_weight_1" in history[0]) == (kind == "adaptive")
    if kind == "adaptive":
        assert history[0]["class_weight_1"] == 1.0


def test_an_epoch_in_which_nothing_was_counted_ends_on_the_weights_device(monkeypatch):
    """As those of a hint do: several GPUs cannot add up what lies in the processor's memory."""
    added = []
    monkeypatch.setattr(module, "rank_and_processes", lambda: (0, 2))
    monkeypatch.setattr(module.distributed, "all_reduce", lambda counts: added.append(counts.device.type))
    monkeypatch.setattr(module, "adapted", lambda weights, hits, seen: weights)
    ClassWeights("adaptive", LABELS, 3).to("meta").end_epoch()
    assert added == ["meta", "meta"]
