import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("further", [False, True])
def test_loaders_say_how_each_image_lies(tmp_path, further):
    """In training alone, in each epoch another way, by the row: whatever the batches and the processes are."""
    images = folder(tmp_path / "some", 12)
    more = (folder(tmp_path / "more", 6, labelled=False), {}) if further else None
    loader = image_batches(images, 4, 0, further=more, dihedral=True)
    first = torch.cat([batch[WAY] for batch in loader])
    assert len(first) == 12
    assert 0 <= first.min() <= first.max() < WAYS
    loader.sampler.set_epoch(1)
    assert not torch.equal(first, torch.cat([batch[WAY] for batch in loader]))
    assert WAY not in next(iter(image_batches(images, 4, dihedral=True)))
    assert WAY not in next(iter(image_batches(images, 4, 0)))
