import cv2
import numpy as np

from defectdistill.data.tables import write_table
from defectdistill.evaluation.mask_sheet import mask_sheet


def test_what_was_found_is_drawn_below_what_is_true(tmp_path):
    images, masks = np.full((20, 32, 32, 3), 90, np.uint8), np.zeros((20, 32, 32), np.uint8)
    masks[:, 8:20, 8:20] = 2
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "masks.npy", masks)
    sources = ["given"] * 11 + ["none"] * 9
    write_table(tmp_path / "index.csv", ("name", "mask_source"), [(f"{n}.png", s) for n, s in enumerate(sources)])
    asked = []

    def segment(batch):
        asked.append(len(batch))
        return np.zeros(batch.shape[:3], bool)

    mask_sheet(segment, tmp_path, tmp_path / "out" / "masks.png", synthetic=False)
    assert asked == [11]  # what has no mask cannot be compared
    picture = cv2.imread(str(tmp_path / "out/masks.png")).astype(int)
    coloured = (picture.max(2) - picture.min(2) > 60).sum(axis=1).nonzero()[0]
    # Outlines in the first and the third line alone: below each line of true masks lie those that were found.
    assert coloured.max() < picture.shape[0] * 0.8
    assert (np.diff(coloured) > 128).sum() == 1

    mask_sheet(segment, tmp_path, tmp_path / "synthetic.png", synthetic=True)
    assert cv2.imread(str(tmp_path / "synthetic.png")).tobytes() != picture.astype(np.uint8).tobytes()
