from itertools import zip_longest

import numpy as np
import pytest
import torch

from defectdistill.data import samplers as module
from defectdistill.data.batches import (
    NO_LABEL,
    JoinedBatches,
    PackedBatches,
    batches,
    image_batches,
    mask_batches,
    resident_on_gpu,
)
from defectdistill.data.samplers import TwoParts
from defectdistill.data.tables import write_table


def dataset(count):
    return PackedBatches({"image": np.arange(count * 4, dtype=np.uint8).reshape(count, 4), "label": np.arange(count)})


def test_every_image_comes_once_an_epoch_with_its_own_label():
    loader = batches(dataset(10), batch_size=4, seed=0)
    epoch = list(loader)
    assert [len(batch["label"]) for batch in epoch] == [4, 4, 2]
    assert sorted(torch.cat([batch["label"] for batch in epoch]).tolist()) == list(range(10))
    for batch in epoch:
        assert torch.equal(batch["image"][:, 0], (batch["label"] * 4).to(torch.uint8))


def test_the_order_changes_by_epoch_and_is_given_by_the_seed():
    def epochs(seed):
        loader = batches(dataset(12), 4, seed)
        return [torch.cat([batch["label"] for batch in loader]).tolist() for _ in range(2)]

    assert epochs(0) == epochs(0)
    assert epochs(0)[0] != epochs(0)[1]
    assert epochs(0) != epochs(1)


def test_without_a_seed_nothing_is_shuffled_or_left_out():
    loader = batches(dataset(9), 4)
    assert torch.cat([batch["label"] for batch in loader]).tolist() == list(range(9))


def test_a_last_batch_of_one_is_left_out_of_training():
    assert [len(batch["label"]) for batch in batches(dataset(9), 4, seed=0)] == [4, 4]
    assert len(batches(dataset(9), 4, seed=0)) == 2


@pytest.mark.parametrize(("images", "seed", "expected"), [(10, 0, 10), (9, 0, 8), (10, None, 10), (9, None, 9)])
def test_processes_share_each_batch(monkeypatch, images, seed, expected):
    """Two processes see together what one sees alone; in training each takes part in every step."""
    alone = [set(batch["label"].tolist()) for batch in batches(dataset(images), 4, seed)]
    shares = []
    for rank in range(2):
        monkeypatch.setattr(module, "rank_and_processes", lambda rank=rank: (rank, 2))
        loader = batches(dataset(images), 4, seed)
        shares.append([set(batch["label"].tolist()) for batch in loader])
        assert len(loader) >= len(shares[-1])
    first, second = shares
    assert not set().union(*first) & set().union(*second)
    assert len(set().union(*first, *second)) == expected
    assert [one | other for one, other in zip_longest(first, second, fillvalue=set())] == alone
    if seed is not None:
        assert len(first) == len(second) == len(alone)


def test_a_batch_smaller_than_the_processes_is_left_out_of_training(monkeypatch):
    monkeypatch.setattr(module, "rank_and_processes", lambda: (3, 4))
    loader = batches(dataset(11), 4, seed=0)
    assert [len(batch["label"]) for batch in loader] == [1, 1]
    assert len(loader) == 2


@pytest.mark.gpu
def test_batches_that_fit_are_gathered_on_the_gpu(tmp_path):
    arrays = dataset(10).arrays
    kept = PackedBatches(arrays, on_gpu=True)[[3, 1]]
    assert all(value.is_cuda for value in kept.values())
    for name, value in PackedBatches(arrays)[[3, 1]].items():
        assert torch.equal(kept[name].cpu(), value)


def test_what_would_leave_less_than_half_of_a_gpu_stays_where_it_is(monkeypatch):
    """Each data set sees what the earlier ones have left."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (4e9, 8e9))
    assert resident_on_gpu({"image": np.zeros(1, np.uint8)}) == {}


def test_arrays_of_other_images_are_refused():
    with pytest.raises(ValueError, match="unequal length"):
        PackedBatches({"image": np.zeros(3), "label": np.zeros(4)})


def folder(path, sources, masks):
    np.save(path / "images.npy", np.zeros((len(sources), 4, 4, 3), np.uint8))
    np.save(path / "masks.npy", np.array(masks, np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8))
    rows = [(f"{row}.png", row % 2, source) for row, source in enumerate(sources)]
    write_table(path / "index.csv", ("name", "label", "mask_source"), rows)
    return path


def test_the_teacher_sees_only_images_that_have_a_mask(tmp_path):
    loader = mask_batches(folder(tmp_path, ["given", "none", "threshold"], [1, 0, 2]), batch_size=8)
    (batch,) = loader
    assert batch["mask"][:, 0, 0].tolist() == [1, 2]
    assert (batch["label"].tolist(), batch["masked"].tolist()) == ([0, 0], [1.0, 1.0])


def test_a_teacher_that_learns_from_labels_too_sees_every_image(tmp_path):
    loader = mask_batches(folder(tmp_path, ["given", "none", "threshold"], [1, 0, 2]), batch_size=8, every=True)
    (batch,) = loader
    assert (batch["label"].tolist(), batch["masked"].tolist()) == ([0, 1, 0], [1.0, 0.0, 1.0])


def test_few_masks_among_many_labels_are_half_of_each_batch(tmp_path):
    """A tenth of the photographs with a mask: as they come, two of three batches of four would hold none."""
    path = folder(tmp_path, ["given" if row % 10 == 0 else "none" for row in range(40)], [1] * 40)
    np.save(path / "images.npy", np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8))
    loader = mask_batches(path, batch_size=4, seed=0, every=True)
    epoch = list(loader)
    assert len(epoch) == len(loader) == 10
    for batch in epoch:
        assert sorted(batch["masked"].tolist()) == [0.0, 0.0, 1.0, 1.0]
        rows = batch["image"][:, 0, 0, 0].int()
        assert ((rows % 10 == 0) == batch["masked"].bool()).all()
    alone = [row for batch in epoch for row in batch["image"][:, 0, 0, 0].tolist() if row % 10]
    assert len({*alone}) == len(alone) == 20
    loader.sampler.set_epoch(1)
    assert [batch["label"].tolist() for batch in loader] != [batch["label"].tolist() for batch in epoch]
    judged = torch.cat([batch["masked"] for batch in mask_batches(path, batch_size=4, every=True)])
    assert judged.sum() == 4, "the validation split is as it is"


@pytest.mark.parametrize("sources", [["given", "none"] * 4, ["given", *["normal"] * 6, "none"]])
def test_where_half_of_the_defects_have_a_mask_every_image_comes_once(tmp_path, sources):
    path = folder(tmp_path, sources, [1] * 8)
    np.save(path / "images.npy", np.arange(8, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8))
    epoch = list(mask_batches(path, batch_size=2, seed=0, every=True))
    assert sorted(row for batch in epoch for row in batch["image"][:, 0, 0, 0].tolist()) == list(range(8))


def test_good_parts_do_not_stand_for_masks_that_were_drawn(tmp_path):
    """Their empty masks need nobody: of the defects here one in four has a mask."""
    path = folder(tmp_path, ["given", *["none"] * 3, *["normal"] * 8], [2, 0, 0, 0, *[0] * 8])
    for batch in mask_batches(path, batch_size=4, seed=0, every=True):
        assert (batch["mask"].flatten(1).amax(1) == 2).sum() == 2


@pytest.mark.parametrize(("sources", "masks"), [(["none", "none"], [0, 0]), (["given", "given"], [0, 0])])
def test_nothing_to_segment_is_an_error(tmp_path, sources, masks):
    with pytest.raises(ValueError, match=r"none shows a defect.*prepare\.masks"):
        mask_batches(folder(tmp_path, sources, masks), batch_size=8)


def test_extra_arrays_stay_beside_their_images(tmp_path):
    path = folder(tmp_path, ["given"] * 4, [1, 1, 1, 1])
    loader = image_batches(path, 2, seed=3, extra={"features": np.arange(4)})
    for batch in loader:
        assert (batch["features"] % 2 == batch["label"]).all()


def joined(labelled, unlabelled, batch_size, seed=0):
    parts = [PackedBatches({"row": start + np.arange(count)}) for start, count in ((0, labelled), (1000, unlabelled))]
    return batches(JoinedBatches(*parts), batch_size, seed)


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "batch_size", "most"),
    [(10, 40, 4, 2), (9, 5, 4, 2), (16, 16, 8, 4), (7, 1, 2, 1), (100, 1, 16, 1), (100, 13, 16, 3), (100, 50, 16, 8)],
)
def test_half_of_each_batch_has_no_label_or_less_where_few_are(labelled, unlabelled, batch_size, most):
    loader = joined(labelled, unlabelled, batch_size)
    epoch = [batch["row"] for batch in loader]
    alone = [len(batch["label"]) for batch in batches(dataset(labelled), batch_size, seed=0)]
    assert [len(rows) for rows in epoch] == alone
    assert len(loader) == len(alone)
    for rows in epoch:
        assert (rows >= 1000).sum() == min(len(rows) // 2, most)
    own = [row for rows in epoch for row in rows.tolist() if row < 1000]
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(("first", "second", "batch_size"), [(16, 14, 3), (17, 13, 5), (30, 29, 3), (8, 8, 4)])
def test_where_a_part_runs_out_the_epoch_has_all_its_rows(first, second, batch_size):
    sampler = TwoParts(first, second, batch_size, first + second, batch_size)
    rows = list(sampler)
    assert len(rows) == len(sampler) == first + second
    of_first = [row for row in rows if row < first]
    assert len(set(of_first)) == len(of_first)
    for start in range(0, len(rows) - 1, batch_size):
        batch = rows[start : start + batch_size]
        assert sum(row >= first for row in batch) >= len(batch) // 2


def test_half_and_half_every_image_comes_in_time_and_the_seed_gives_the_order():
    def epochs(seed, count=12):
        loader, rows = joined(10, 6, 4, seed), []
        for epoch in range(count):
            loader.sampler.set_epoch(epoch)
            rows.append(torch.cat([batch["row"] for batch in loader]).tolist())
        return rows

    assert epochs(1) == epochs(1) != epochs(2)
    assert len({row for rows in epochs(1) for row in rows}) == 16


def test_processes_share_both_halves(monkeypatch):
    shares = []
    for rank in range(2):
        monkeypatch.setattr(module, "rank_and_processes", lambda rank=rank: (rank, 2))
        shares.append(next(iter(joined(16, 16, 8)))["row"])
    assert all((rows >= 1000).sum() == 2 for rows in shares)


def test_images_without_a_label_are_marked_and_keep_their_arrays(tmp_path):
    (tmp_path / "more").mkdir()
    labelled, more = folder(tmp_path, ["given"] * 4, [1, 1, 1, 1]), tmp_path / "more"
    np.save(more / "images.npy", np.full((3, 4, 4, 3), 9, np.uint8))
    extra, of_more = {"teacher": np.arange(4)}, {"teacher": 100 + np.arange(3)}
    for batch in image_batches(labelled, 4, 0, extra, further=(more, of_more)):
        unknown = batch["label"] == NO_LABEL
        assert unknown.tolist() == [False, False, True, True]
        assert torch.equal(unknown, batch["teacher"] >= 100)
        assert torch.equal(unknown, batch["image"][:, 0, 0, 0] == 9)
