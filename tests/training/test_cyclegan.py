"""The CycleGAN and the defects that it puts on good photographs: losses, pool, bytes, labels and masks."""

import numpy as np
import pytest
import torch

from defectdistill.data.errors import DataError
from defectdistill.data.packed import labels_of, read_index
from defectdistill.data.tables import write_table
from defectdistill.models.cyclegan import Discriminator, Generator
from defectdistill.training import cyclegan
from defectdistill.training.cyclegan import CycleGAN, Pool, Rates, moved, scaled, train_cyclegan
from defectdistill.training.synthesizers import none
from defectdistill.training.synthesizers.cyclegan import defects_on, synthesize

SETTINGS = {
    "good": "good", "per_class": 3, "width": 2, "blocks": 1, "steps": 2, "batch_size": 2, "lr": 0.001, "cycle": 10.0,
    "identity": 5.0, "difference": 1, "seed": 0,
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
    assert Generator(3, 1, 2, 1)(x).shape == (1, 1, 32, 40)
    model = CycleGAN(2, 1, channels=1)
    for made in (model.to_good(x), model.to_defect(x, x)):
        assert made.shape == x.shape
        assert made.abs().max() <= 1
    assert Discriminator(2)(x).shape == (1, 1, 4, 5)


def test_the_losses_by_hand():
    """Zhu et al. 2017, equations 1 to 3 with least squares, and the identity loss of section 5.2."""
    torch.manual_seed(0)
    model = CycleGAN(2, 1).double()
    good, defect = torch.rand(2, 2, 3, 16, 16, dtype=torch.float64) * 2 - 1
    loss, fake_defect, fake_good = model.generators_loss(good, defect, RATES, np.random.default_rng(5))

    def of(network, *pictures):
        return network(*map(torch.as_tensor, pictures)).detach().numpy()

    clean = of(model.to_good, defect)
    taken = defect.numpy() - clean
    gone = of(model.to_defect, good, moved(torch.from_numpy(taken), np.random.default_rng(5)))
    back = np.abs(of(model.to_good, gone) - good.numpy()).mean()
    back += np.abs(of(model.to_defect, clean, taken) - defect.numpy()).mean()
    same = np.abs(taken).mean() + np.abs(of(model.to_good, good) - good.numpy()).mean()
    fooled = ((of(model.is_defect, gone) - 1) ** 2).mean() + ((of(model.is_good, clean) - 1) ** 2).mean()
    assert loss.item() == pytest.approx(fooled + 10 * back + 5 * same, abs=1e-6)
    judged = model.discriminators_loss(good, defect, (fake_defect.detach(), fake_good.detach())).item()
    expected = ((of(model.is_defect, defect) - 1) ** 2).mean() + (of(model.is_defect, fake_defect) ** 2).mean()
    expected += ((of(model.is_good, good) - 1) ** 2).mean() + (of(model.is_good, fake_good) ** 2).mean()
    assert judged == pytest.approx(expected / 2, abs=1e-6)


def test_what_was_taken_wanders_without_what_changed_everywhere():
    taken = torch.full((6, 2, 10, 20), 0.5)
    taken[:, :, 4, 7] = 0.9
    got = moved(taken, np.random.default_rng(0))
    assert torch.equal(got, moved(taken, np.random.default_rng(0)))
    assert torch.allclose(got.flatten(2).sort().values[..., -2:], torch.tensor([0.0, 0.4]))  # one point, nothing else
    places = {divmod(int(image[0].argmax()), 20) for image in got}
    assert len(places) == 6
    assert {row for row, _ in places} <= {2, 3, 4, 5, 6, 7}  # row 4 or, mirrored, 5, and a fifth of ten either way
    assert all(torch.equal(*image) for image in got)  # all channels together


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
    good = rng.integers(100, 120, (8, 16, 16, 1), dtype=np.uint8).repeat(3, axis=3)
    defect = good.copy()
    defect[:, 4:8, 4:8] = 40

    def trained(seed, steps):
        model = train_cyclegan(good, defect, 4, 1, Rates(steps, 4, 0.002, 5.0, 1.0), seed, "test")
        return model.to_good(scaled(defect)).detach()

    first = trained(0, 3)
    assert torch.equal(first, trained(0, 3))
    assert not torch.equal(first, trained(1, 3))
    changed = trained(0, 250) - scaled(defect)
    assert 0.35 < changed[:, :, 5:7, 5:7].mean() < 0.75  # what is dark becomes lighter by 70 / 127.5 …
    assert changed[:, :, 10:].abs().mean() < 0.05  # … and what lies around it stays


def test_grey_photographs_stay_grey_and_coloured_ones_may_change_their_colour():
    good = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), dtype=np.uint8).repeat(3, axis=3)
    coloured = good.copy()
    coloured[..., 0] = 7
    for defect, grey in ((good, True), (coloured, False)):
        model = train_cyclegan(good, defect, 2, 1, RATES, 0, "test")
        taken = scaled(good) - model.to_good(scaled(good))
        assert bool((taken == taken[:, :1]).all()) == grey


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
    class Spot(CycleGAN):
        def to_defect(self, good, taken):
            x = good.clone()
            x[:, :, 8:16, 8:16] += 0.3
            x[:, :, 2, 2] += 0.3  # a single pixel is no defect
            x[:, :, 28, 4:20] -= 0.3  # a line of one pixel's width is one
            x[:, :, 20:24] += 0.02  # nor what hardly differs
            return x

    good = np.full((2, 32, 32, 3), 100, np.uint8)
    forged, masks = defects_on(Spot(2, 1), good, good, 12, np.random.default_rng(0))
    expected = np.zeros((2, 32, 32), np.uint8)
    expected[:, 8:16, 8:16] = 1
    expected[:, 28, 4:20] = 1
    np.testing.assert_array_equal(masks, expected)
    assert forged[0, 10, 10, 0] == 138


def test_what_shows_no_defect_is_left_out_and_said(folders, capsys):
    train, augmented = folders
    assert synthesize(train, augmented, CLASSES, SETTINGS | {"difference": 255}) == []
    assert len(np.load(augmented / "images.npy")) == 9
    assert "cyclegan: of class dent, 0 of 3 pictures show a defect" in capsys.readouterr().err


def test_without_the_class_of_good_photographs_it_says_so_by_name(folders):
    with pytest.raises(DataError, match=r"no class 'fine': name it by augment.cyclegan.good \(there are dent, good"):
        synthesize(*folders, CLASSES, SETTINGS | {"good": "fine"})


def test_none_adds_nothing(folders):
    before = np.load(folders[1] / "images.npy")
    assert none.synthesize(*folders, CLASSES, SETTINGS) == []
    assert np.array_equal(np.load(folders[1] / "images.npy"), before)
