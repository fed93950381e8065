"""The CycleGAN and the defects that it puts on good photographs: losses, pool, bytes, labels and masks."""

import numpy as np
import pytest
import torch

from defectdistill.data.errors import DataError
from defectdistill.data.packed import labels_of, read_index
from defectdistill.data.tables import write_table
from defectdistill.models.cyclegan import Discriminator, Generator
from defectdistill.training import cyclegan
from defectdistill.training.cyclegan import CycleGAN, Pool, Rates, scaled, train_cyclegan
from defectdistill.training.synthesizers import none
from defectdistill.training.synthesizers.cyclegan import defects_on, synthesize

SETTINGS = {
    "good": "good", "per_class": 3, "width": 2, "blocks": 1, "steps": 2, "batch_size": 2, "lr": 0.001, "cycle": 10.0,
    "identity": 5.0, "difference": 12, "seed": 0,
}  # fmt: skip
RATES = Rates(2, 2, 0.001, 10.0, 5.0)
CLASSES = ["dent", "good", "scratch"]
LABELS = [0, 1, 1, 1, 1, 1, 2, 2, 2]


@pytest.fixture
def folders(tmp_path):
    """A training split, and what `augment` made of it: here the same."""
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    for name in ("train", "augmented"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "images.npy", images)
        np.save(tmp_path / name / "masks.npy", np.zeros((9, 32, 32), np.uint8))
        rows = [(f"{n}.png", label, f"group {n}", "given", 0) for n, label in enumerate(LABELS)]
        write_table(tmp_path / name / "index.csv", ("name", "label", "group", "mask_source", "copy"), rows)
    return tmp_path / "train", tmp_path / "augmented"


def test_shapes_and_a_generator_keeps_to_the_range():
    x = torch.rand(1, 3, 32, 40) * 2 - 1
    assert Generator(2, 1)(x).shape == x.shape
    assert Generator(2, 1)(x).abs().max() <= 1
    assert Discriminator(2)(x).shape == (1, 1, 4, 5)


def test_the_losses_by_hand():
    """Zhu et al. 2017, equations 1 to 3 with least squares, and the identity loss of section 5.2."""
    torch.manual_seed(0)
    model = CycleGAN(2, 1).double()
    good, defect = torch.rand(2, 2, 3, 16, 16, dtype=torch.float64) * 2 - 1
    loss, fake_defect, fake_good = model.generators_loss(good, defect, RATES)

    def of(network, x):
        return network(x).detach().numpy()

    gone, come = of(model.to_defect, good), of(model.to_good, defect)
    back = np.abs(of(model.to_good, torch.from_numpy(gone)) - good.numpy()).mean()
    back += np.abs(of(model.to_defect, torch.from_numpy(come)) - defect.numpy()).mean()
    same = np.abs(of(model.to_defect, defect) - defect.numpy()).mean()
    same += np.abs(of(model.to_good, good) - good.numpy()).mean()
    fooled = ((of(model.is_defect, torch.from_numpy(gone)) - 1) ** 2).mean()
    fooled += ((of(model.is_good, torch.from_numpy(come)) - 1) ** 2).mean()
    assert loss.item() == pytest.approx(fooled + 10 * back + 5 * same, abs=1e-6)
    judged = model.discriminators_loss(good, defect, (fake_defect.detach(), fake_good.detach())).item()
    expected = ((of(model.is_defect, defect) - 1) ** 2).mean() + (of(model.is_defect, fake_defect) ** 2).mean()
    expected += ((of(model.is_good, good) - 1) ** 2).mean() + (of(model.is_good, fake_good) ** 2).mean()
    assert judged == pytest.approx(expected / 2, abs=1e-6)


def test_a_pool_hands_out_earlier_forgeries_and_stays_small(monkeypatch):
    monkeypatch.setattr(cyclegan, "POOL", 4)
    pool, seen = Pool(np.random.default_rng(0)), set()
    for number in range(40):
        (shown,) = pool.exchanged(torch.full((1, 1), float(number), requires_grad=True))
        assert shown.item() <= number
        assert not shown.requires_grad
        seen.add(number - shown.item() > 0)
    assert (len(pool.kept), seen) == (4, {True, False})


def test_training_learns_and_the_same_seed_gives_the_same_bytes():
    rng = np.random.default_rng(0)
    good = rng.integers(100, 120, (4, 16, 16, 3), dtype=np.uint8)
    defect = good.copy()
    defect[:, 4:12, 4:12] = 10

    def trained(seed, steps):
        rates = Rates(steps, 2, 0.01, 1.0, 0.0)
        return train_cyclegan(good, defect, 4, 1, rates, seed, "test").to_defect(scaled(good)).detach()

    first = trained(0, 3)
    assert torch.equal(first, trained(0, 3))
    assert not torch.equal(first, trained(1, 3))
    longer = trained(0, 40)
    middle = longer[:, :, 6:10, 6:10].mean() - scaled(good)[:, :, 6:10, 6:10].mean()
    assert middle < -0.1  # it puts something dark where the defects are


def test_classes_are_filled_up_and_everything_else_stays(folders):
    train, augmented = folders
    before = np.load(augmented / "images.npy")
    sheet = synthesize(train, augmented, CLASSES, SETTINGS)
    images, labels, index = np.load(augmented / "images.npy"), labels_of(augmented), read_index(augmented)
    assert np.array_equal(images[:9], before)
    assert labels.tolist() == [*LABELS, 0, 0, 0, 2, 2]  # five good: three dents of four lacking, two scratches
    assert len(np.load(augmented / "masks.npy")) == len(images) == len(index)
    made = index[9:]
    assert {row["mask_source"] for row in made} == {"synthesized"}
    assert {row["group"] for row in made} <= {f"group {n}" for n in range(1, 6)}  # of good photographs
    assert len({row["name"] for row in index}) == len(index)
    assert [(words, len(pictures)) for words, pictures, _ in sheet] == [("good → dent", 6), ("good → scratch", 4)]
    assert np.array_equal(sheet[0][1][1], images[9])


def test_the_same_photographs_give_the_same_bytes_whatever_the_threads(folders, tmp_path):
    train, augmented = folders
    written = []
    for threads in (1, 2):
        output = tmp_path / f"copy{threads}"
        output.mkdir()
        for file in augmented.iterdir():
            (output / file.name).write_bytes(file.read_bytes())
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        synthesize(train, output, CLASSES, SETTINGS)
        assert torch.get_num_threads() == threads
        torch.set_num_threads(before)
        written.append({file.name: file.read_bytes() for file in output.iterdir()})
    assert written[0] == written[1]


def test_a_mask_is_where_the_picture_changed():
    class Spot(torch.nn.Module):
        def to_defect(self, x):
            x = x.clone()
            x[:, :, 8:16, 8:16] += 0.3
            x[:, :, 2, 2] += 0.3  # a single pixel is no defect
            x[:, :, 28, 4:20] -= 0.3  # a line of one pixel's width is one
            x[:, :, 20:24] += 0.02  # nor what hardly differs
            return x

    good = np.full((2, 32, 32, 3), 100, np.uint8)
    forged, masks = defects_on(Spot(), good, 2, 12)
    expected = np.zeros((2, 32, 32), np.uint8)
    expected[:, 8:16, 8:16] = 3
    expected[:, 28, 4:20] = 3
    np.testing.assert_array_equal(masks, expected)
    assert forged[0, 10, 10, 0] == 138


def test_without_the_class_of_good_photographs_it_says_so_by_name(folders):
    with pytest.raises(DataError, match=r"no class 'fine': name it by augment.cyclegan.good \(there are dent, good"):
        synthesize(*folders, CLASSES, SETTINGS | {"good": "fine"})


def test_none_adds_nothing(folders):
    before = np.load(folders[1] / "images.npy")
    assert none.synthesize(*folders, CLASSES, SETTINGS) == []
    assert np.array_equal(np.load(folders[1] / "images.npy"), before)
