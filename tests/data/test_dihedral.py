import numpy as np
import pytest
import torch

from defectdistill.data import samplers
from defectdistill.data.batches import image_batches
from defectdistill.data.dihedral import WAY, WAYS, Ways, laid, lay
from defectdistill.data.tables import write_table


def folder(path, count, labelled=True, side=4):
    path.mkdir(parents=True)
    pictures = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    np.save(path / "images.npy", pictures)
    columns = ("name", "label", "group") if labelled else ("name", "group")
    write_table(path / "index.csv", columns, [(f"{row}.png", *[0] * labelled, row) for row in range(count)])
    return path


def test_the_eight_ways_are_all_symmetries_of_a_square():
    square = torch.tensor([[0, 1], [2, 3]])
    found = {tuple(lay(square[None], torch.tensor([way]))[0].flatten().tolist()) for way in range(WAYS)}
    by_hand = {(0, 1, 2, 3), (1, 3, 0, 2), (3, 2, 1, 0), (2, 0, 3, 1), (1, 0, 3, 2), (3, 1, 2, 0), (2, 3, 0, 1),
               (0, 2, 1, 3)}  # fmt: skip
    assert found == by_hand
    assert torch.equal(lay(square[None], torch.tensor([0])), square[None])


def test_an_image_and_what_is_known_of_its_places_go_the_same_way():
    """A map that marks the brightest quarter still does, at any resolution; what has no places stays."""
    image = torch.zeros(8, 8, 8, 3, dtype=torch.uint8)
    image[:, :4, :4] = 255
    batch = {
        "image": image,
        "mask": (image[..., 0] > 0).to(torch.uint8),
        "teacher_class_map4": torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(8, 2, 2)[..., None],
        "teacher_evidence": torch.arange(16.0).reshape(8, 2),
        "label": torch.arange(8),
        WAY: torch.arange(8),
    }
    moved = laid(batch)
    assert WAY not in moved
    assert torch.equal(moved["mask"] > 0, moved["image"][..., 0] > 0)
    assert torch.equal(moved["teacher_class_map4"][..., 0] > 0, moved["image"][:, ::4, ::4, 0] > 0)
    assert moved["image"][:, ::4, ::4, 0].flatten(1).argmax(1).unique().tolist() == [0, 1, 2, 3]
    assert moved["label"] is batch["label"]
    assert moved["teacher_evidence"] is batch["teacher_evidence"]
    assert batch["image"][:, :4, :4].min() == 255  # nothing was changed in place


def test_a_batch_that_says_nothing_stays():
    batch = {"image": torch.zeros(2, 4, 4, 3)}
    assert laid(batch) is batch


def test_what_is_not_square_is_refused():
    with pytest.raises(ValueError, match="4 x 6 places"):
        lay(torch.zeros(1, 4, 6), torch.tensor([1]))


def test_every_epoch_draws_anew_and_a_restarted_one_the_same():
    ways = Ways(4000, seed=3)
    first = ways.drawn
    ways.set_epoch(1)
    assert not np.array_equal(first, ways.drawn)
    assert np.array_equal(np.bincount(ways.drawn, minlength=WAYS) > 400, [True] * WAYS)
    again = Ways(4000, seed=3)
    again.set_epoch(1)
    assert np.array_equal(again.drawn, ways.drawn)


@pytest.mark.parametrize(("batch_size", "processes"), [(4, 1), (6, 1), (4, 2)])
def test_a_row_lies_as_epoch_and_seed_say_in_any_batch_and_process(tmp_path, monkeypatch, batch_size, processes):
    images, more = folder(tmp_path / "some", 12), folder(tmp_path / "more", 6, labelled=False)
    further = (more, {"row": 100 + np.arange(6)})
    for epoch in (0, 1):
        found = {}
        for rank in range(processes):
            monkeypatch.setattr(samplers, "rank_and_processes", lambda rank=rank: (rank, processes))
            loader = image_batches(images, batch_size, 7, {"row": np.arange(12)}, further=further, dihedral=True)
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                found |= dict(zip(batch["row"].tolist(), batch[WAY].tolist(), strict=True))
        own, others = Ways(12, 7), Ways(6, 7)
        own.set_epoch(epoch)
        others.set_epoch(epoch)
        expected = dict(enumerate(own.drawn.tolist())) | dict(enumerate(others.drawn.tolist(), 100))
        assert len(found) == 12  # six of each, in an epoch of twelve
        assert found == {row: expected[row] for row in found}


def test_images_are_laid_in_training_alone_and_where_it_is_asked(tmp_path):
    images = folder(tmp_path / "some", 12)
    assert WAY not in next(iter(image_batches(images, 4, dihedral=True)))
    assert WAY not in next(iter(image_batches(images, 4, 0)))
