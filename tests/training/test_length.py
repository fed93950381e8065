import numpy as np
import pytest

from defectdistill.data.batches import PackedBatches, batches
from defectdistill.data.tables import write_table
from defectdistill.training.length import lengthened


@pytest.mark.parametrize(
    ("images", "masked", "masked_only", "min_steps", "epochs"),
    [
        (40, 40, False, 0, 12),
        (40, 40, False, 36, 12),  # 3 steps an epoch
        (40, 40, False, 37, 13),
        (400, 400, False, 200, 12),  # never fewer
        (33, 33, False, 30, 15),  # a single image is no batch: 2 steps
        (34, 34, False, 30, 12),
        (40, 10, False, 37, 13),
        (40, 10, True, 37, 37),
        (1, 1, False, 5, 12),  # what has no step at all is refused where it is loaded
    ],
)
def test_a_training_has_so_many_epochs_that_it_makes_its_steps(
    tmp_path, images, masked, masked_only, min_steps, epochs
):
    rows = [(f"{number}.png", 0, "given" if number < masked else "none") for number in range(images)]
    write_table(tmp_path / "index.csv", ("name", "label", "mask_source"), rows)
    settings = {"epochs": 12, "batch_size": 16, "min_steps": min_steps, "patience": None, "lr": 0.1}
    assert lengthened(settings, tmp_path, synthetic=True, masked_only=masked_only) == settings | {"epochs": epochs}


@pytest.mark.parametrize(
    ("patience", "min_steps", "epochs", "grown"),
    [(12, 36, 12, 12), (12, 72, 24, 24), (5, 72, 24, 10), (5, 39, 13, 6), (None, 72, 24, None)],
)
def test_patience_grows_with_the_epochs(tmp_path, patience, min_steps, epochs, grown):
    write_table(tmp_path / "index.csv", ("name", "label"), [(f"{number}.png", 0) for number in range(40)])
    settings = {"epochs": 12, "batch_size": 16, "min_steps": min_steps, "patience": patience}
    assert lengthened(settings, tmp_path, synthetic=False) == settings | {"epochs": epochs, "patience": grown}


def test_photographs_are_learned_from_for_longer_than_drawn_ones(tmp_path):
    write_table(tmp_path / "index.csv", ("name", "label"), [(f"{number}.png", 0) for number in range(40)])
    settings = {"epochs": 12, "batch_size": 16, "min_steps": "auto", "patience": None}  # 3 steps an epoch
    assert lengthened(settings, tmp_path, synthetic=False)["epochs"] == 234
    assert lengthened(settings, tmp_path, synthetic=True)["epochs"] == 100
    assert lengthened(settings | {"epochs": 500}, tmp_path, synthetic=False)["epochs"] == 500


@pytest.mark.parametrize("images", [31, 32, 33, 34])
def test_it_counts_the_steps_that_the_loader_makes(tmp_path, images):
    arrays = {"image": np.zeros((images, 4, 4, 3), np.uint8)}
    loader = batches(PackedBatches(arrays), batch_size=16, seed=0)
    write_table(tmp_path / "index.csv", ("name", "label"), [(f"{number}.png", 0) for number in range(images)])
    settings = {"epochs": 1, "batch_size": 16, "min_steps": 7 * len(list(loader)), "patience": None}
    assert lengthened(settings, tmp_path, synthetic=False)["epochs"] == 7
