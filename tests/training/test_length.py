import pytest

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
    settings = {"epochs": 12, "batch_size": 16, "min_steps": min_steps, "lr": 0.1}
    assert lengthened(settings, tmp_path, masked_only) == settings | {"epochs": max(epochs, 12)}
