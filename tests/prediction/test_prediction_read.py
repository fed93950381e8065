import itertools
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from prediction_cases import photograph

from defectdistill.data.images import BadImage
from defectdistill.data.sample import Rejected
from defectdistill.prediction.find import Found
from defectdistill.prediction.read import batches, read_photograph


def small(image):
    return image[:8, :8].copy()


def endless(path, taken):
    for number in itertools.count():
        taken.append(number)
        yield Found(f"{number}.png", path)


def test_only_two_batches_are_read_ahead_however_many_there_are(tmp_path):
    path, taken = photograph(tmp_path / "x.png", 0), []
    found = batches(endless(path, taken), small, 10_000, workers=3, batch_size=5)
    for number in range(20):
        batch = next(found)
        assert batch.names == [f"{n}.png" for n in range(5 * number, 5 * number + 5)]
        assert len(taken) <= 5 * (number + 1) + 2 * 5
    found.close()


def test_no_more_photographs_than_workers_are_large_at_once(tmp_path):
    path, running, most, lock = photograph(tmp_path / "x.png", 0), [0], [0], threading.Lock()

    def watched(image):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1
        return small(image)

    found = (Found(f"{number}", path) for number in range(40))
    assert sum(len(batch.images) for batch in batches(found, watched, 10_000, workers=3, batch_size=8)) == 40
    assert 1 < most[0] <= 3


def test_bad_files_stand_in_their_batch_with_a_reason_in_one_line(tmp_path):
    good, empty, text = photograph(tmp_path / "x.png", 0), tmp_path / "empty.jpg", tmp_path / "text.png"
    empty.touch()
    text.write_text("two\nlines")
    large = photograph(tmp_path / "large.png", 0, 200, 200)
    found = [Found("good", good), Found("empty", empty), Rejected("refused", "why"), Found("text", text)]
    found += [Found("gone", tmp_path / "no"), Found("folder", tmp_path), Found("large", large)]
    (batch,) = batches(found, small, 10_000, workers=2, batch_size=10)
    assert batch.names == ["good"]
    assert np.array_equal(batch.images[0], small(read_photograph(good, 10_000)))
    reasons = {item.name: item.reason for item in batch.rejected}
    assert list(reasons) == ["empty", "refused", "text", "gone", "folder", "large"]
    assert "zero bytes" in reasons["empty"]
    assert "cannot be read (No such file" in reasons["gone"]
    assert "cannot be read (Is a directory" in reasons["folder"]
    assert "raise --max-pixels or shrink it" in reasons["large"]
    assert not any("\n" in reason for reason in reasons.values())


def test_a_file_longer_than_its_pixels_can_be_is_not_read(tmp_path):
    path = Path(tmp_path / "long.png")
    with path.open("wb") as file:
        file.truncate(11_000_000)
    with pytest.raises(BadImage, match="11000000 bytes, more than 10080000"):
        read_photograph(path, 10_000)
