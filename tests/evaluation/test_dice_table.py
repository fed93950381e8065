import numpy as np
import pytest
import torch

from defectdistill.data.tables import read_table
from defectdistill.evaluation.dice_table import Experiment, Network, estimates, write_dice_table
from defectdistill.evaluation.mask_scores import pixel_counts
from defectdistill.evaluation.speed import frames_per_second

CLASSES = ["pits", "cracks"]
PAPER = {
    "alone": 0.75, "distilled": 0.76, "teacher": 0.78, "student_parameters": 33.91, "teacher_parameters": 36.02,
    "student_fps": 82.7, "teacher_fps": 68.0,
}  # fmt: skip


def counts_of(shares):
    """Of each share a training that finds so much of the truth."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, (10, 8, 8))
    return np.stack([pixel_counts(np.where(rng.random(true.shape) < share, true, 0), true, 2) for share in shares])


def measured(trainings=1):
    counts = {"alone": counts_of([0.5] * trainings), "distilled": counts_of([0.8] * trainings)}
    return estimates(counts | {"teacher": counts_of([0.9])}, [str(row) for row in range(10)], CLASSES, 200, 0)


def test_scores_are_means_over_trainings_and_the_gain_is_paired():
    scores, (gain, (low, high)) = measured(2)
    alone, distilled = scores["alone"]["mean_dice"], scores["distilled"]["mean_dice"]
    assert gain == pytest.approx(distilled[0] - alone[0])
    assert 0 < low < gain < high
    assert alone[1][0] <= alone[0] <= alone[1][1]
    assert set(scores["teacher"]) == {"mean_dice", "mean_iou", "any_dice", "dice/pits", "dice/cracks", "iou/pits",
                                      "iou/cracks"}  # fmt: skip


def test_the_table_stands_beside_the_papers(tmp_path):
    scores, gain = measured()
    row = Experiment(
        "T ← B", Network("atto", 4_420_000, 30.0), Network("pico+GC", 9_000_000, 20.0), scores, gain, 1, PAPER
    )
    write_dice_table(tmp_path, [row], CLASSES, "Title", "10 test images, drawn by a program")
    text = (tmp_path / "table.md").read_text()
    assert "| T ← B | atto ← pico+GC | " in text
    assert "0.750" in text
    assert "10 test images, drawn by a program" in text
    assert "| atto ← pico+GC | 4.42 ← 9.00 | 33.91 ← 36.02 | 30.0 ← 20.0 | 82.7 ← 68.0 | 1.50 | 1.22 |" in text
    assert "| atto, alone | " in text
    assert "| pico+GC, alone | " in text
    line = read_table(tmp_path / "table.csv")[0]
    assert float(line["distilled/mean_dice"]) == pytest.approx(scores["distilled"]["mean_dice"][0], abs=1e-6)
    assert (line["fps_ratio"], line["teacher_paper"], line["student_parameters_paper"]) == ("1.500", "0.78", "33.91")
    assert (tmp_path / "table.png").stat().st_size > 5_000


def test_a_larger_network_is_slower_in_the_same_run():
    def network(width):
        return torch.nn.Sequential(torch.nn.Conv2d(3, width, 3, padding=1), torch.nn.Conv2d(width, 1, 3, padding=1))

    speeds = frames_per_second({"small": network(1), "large": network(128)}, 64, torch.device("cpu"), rounds=9)
    assert speeds["small"] > speeds["large"] > 0
