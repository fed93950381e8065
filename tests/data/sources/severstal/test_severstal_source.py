import cv2
import numpy as np
import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.ingest import write_raw
from defectdistill.data.prepare import prepare
from defectdistill.data.sample import Rejected, Sample
from defectdistill.data.sources.severstal.run_lengths import decode_runs, read_runs
from defectdistill.data.sources.severstal.source import CLASSES, samples

APART, JOINED = "ImageId,ClassId,EncodedPixels", "ImageId_ClassId,EncodedPixels"
SIZE = (6, 10)  # height, width


def area(top, left, height, width):
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


# Image 0 shows a crack (class 2) and, smaller and partly on it, pits (class 1); image 1 patches; image 2 nothing.
DEFECTS = {"a.jpg": {2: area(0, 0, 4, 5), 1: area(2, 4, 2, 2)}, "b.jpg": {4: area(1, 1, 2, 2)}, "c.jpg": {}}
DEFECTS |= {"d.jpg": {1: area(0, 0, 2, 2)}, "e.jpg": {3: area(0, 0, 6, 1)}}


def encoded(mask):
    """Run lengths of a bool mask (height, width)."""
    flat = np.concatenate([[False], np.asarray(mask, bool).T.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = edges[::2], edges[1::2]
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends, strict=True))


def write(root, layout, defects=DEFECTS):
    (root / "train_images").mkdir(parents=True)
    for number, name in enumerate(defects):
        cv2.imwrite(str(root / "train_images" / name), np.full((*SIZE, 3), 6 * number, np.uint8))
    lines = [layout]
    for name, of_image in defects.items():
        for number in range(1, 5):
            runs = encoded(of_image[number]) if number in of_image else ""
            if layout == JOINED:
                lines.append(f"{name}_{number},{runs}")
            elif runs:
                lines.append(f"{name},{number},{runs}")
    (root / "train.csv").write_text("\n".join(lines) + "\n")
    return root


def read(root, good=False):
    return list(samples(root, "train.csv", "train_images", good))


def mask_of(sample):
    return cv2.imdecode(np.frombuffer(sample.mask_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def test_runs_go_down_the_columns_and_count_from_one():
    expected = np.zeros((3, 4), bool)
    expected[1:, 0] = True  # pixels 2 and 3
    expected[0, 1] = True  # pixel 4, the top of the second column
    expected[2, 3] = True  # pixel 12, the last
    np.testing.assert_array_equal(decode_runs("2 3 12 1", 3, 4), expected)
    assert encoded(expected) == "2 3 12 1"
    assert not decode_runs("  ", 3, 4).any()


@pytest.mark.parametrize("text", ["1", "0 3", "1 0 2", "a b", "12 2", "1 99999999999999", "-1 2", "1.0 2"])
def test_what_are_no_runs_of_the_image_is_refused(text):
    with pytest.raises(ValueError, match="run lengths"):
        decode_runs(text, 3, 4)


@pytest.mark.parametrize("layout", [APART, JOINED])
def test_both_layouts_give_labels_and_masks(tmp_path, layout):
    found = read(write(tmp_path, layout))
    assert [(sample.name, sample.label) for sample in found] == [
        ("a.jpg", "cracks"), ("b.jpg", "patches"), ("d.jpg", "pits"), ("e.jpg", "scratches"),
    ]  # fmt: skip
    names = sorted(CLASSES)
    mask = mask_of(found[0])
    expected = np.where(DEFECTS["a.jpg"][2], 1 + names.index("cracks"), 0)
    expected[DEFECTS["a.jpg"][1]] = 1 + names.index("pits")  # the smaller one lies on top
    np.testing.assert_array_equal(mask, expected)
    assert set(np.unique(mask_of(found[1]))) == {0, 1 + names.index("patches")}


def test_a_row_without_its_last_comma_has_no_defect(tmp_path):
    root = write(tmp_path, JOINED)
    expected = [sample.label for sample in read(root, good=True)]
    lines = (root / "train.csv").read_text().splitlines()
    assert any(line.endswith(",") for line in lines)
    (root / "train.csv").write_text("\n".join(line.rstrip(",") for line in lines) + "\n")
    assert [sample.label for sample in read(root, good=True)] == expected


def test_images_without_a_defect_can_be_a_class(tmp_path):
    found = read(write(tmp_path, JOINED), good=True)
    (good,) = [sample for sample in found if sample.label == "good"]
    assert (good.name, good.mask) == ("c.jpg", None)
    names = sorted([*CLASSES, "good"])
    assert mask_of(found[1]).max() == 1 + names.index("patches")


def test_what_does_not_fit_is_left_out_with_the_reason(tmp_path):
    write(tmp_path, APART)
    with (tmp_path / "train.csv").open("a") as file:
        file.write("gone.jpg,1,1 1\nc.jpg,1,59 3\n")
    (tmp_path / "train_images/b.jpg").write_bytes(b"\xff\xd8 half")
    reasons = {item.name: item.reason for item in read(tmp_path) if isinstance(item, Rejected)}
    assert set(reasons) == {"gone.jpg", "c.jpg", "b.jpg"}
    assert "is not in train_images" in reasons["gone.jpg"]
    assert "leave the image of 10×6 pixels" in reasons["c.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("a,b\n1,2\n", r"columns a, b; expected EncodedPixels and either ImageId_ClassId or ImageId and ClassId"),
        (f"{APART}\na.jpg,5,1 1\n", r"line 2: the class is '5'; expected 1 to 4"),
        (f"{APART}\na.jpg,1,1 1\na.jpg,1,3 1\n", r"line 3: a\.jpg has the class 1 a second time"),
        (f"{APART}\na.jpg,1,1 9\na.jpg,2,20 1\n", r"marks cracks, but no image shows mostly that"),
        (f"{APART}\na.jpg,²,1 1\n", r"line 2: the class is '²'; expected 1 to 4"),
        ("", r"the columns \(none\); expected EncodedPixels"),
        (f"{APART}\n\udcfcber.jpg,1,1 1\n", r"train\.csv is no CSV file in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, table, message):
    write(tmp_path, APART)
    (tmp_path / "train.csv").write_text(table, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_the_run_lengths_of_a_large_photograph_are_read(tmp_path):
    runs = " ".join(f"{2 * start + 1} 1" for start in range(20_000))
    (tmp_path / "train.csv").write_text(f"{APART}\na.jpg,1,{runs}\n")
    assert len(runs) > 131_072  # what Python's csv takes by itself
    assert read_runs(tmp_path / "train.csv", 4) == {"a.jpg": {1: runs}}


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    root = write(tmp_path / "set", APART)
    (tmp_path / "secret.jpg").write_bytes((root / "train_images/b.jpg").read_bytes())
    (root / "train_images/b.jpg").unlink()
    (root / "train_images/b.jpg").symlink_to(tmp_path / "secret.jpg")
    (found,) = [item for item in read(root) if item.name == "b.jpg"]
    assert isinstance(found, Rejected)
    assert "leads out" in found.reason


def test_its_masks_survive_ingest_and_prepare(tmp_path):
    rng = np.random.default_rng(0)
    defects = {}
    for number in range(40):
        own = 1 + number % 4
        defects[f"{number:02d}.jpg"] = {own: area(0, 0, 3, 6), 1 + own % 4: area(3, int(rng.integers(8)), 2, 2)}
    root = write(tmp_path / "set", APART, defects)
    write_raw(iter(read(root)), tmp_path / "raw", "severstal", synthetic=False, max_pixels=10**6)
    settings = {"fractions": (0.7, 0.15, 0.15), "seed": 0, "near_duplicates": False}
    prepare(tmp_path / "raw", tmp_path / "prepared", 32, "squash", "given", "auto", None, None, **settings)
    names = sorted(CLASSES)
    masks = np.load(tmp_path / "prepared/train/masks.npy")
    rows = (tmp_path / "prepared/train/index.csv").read_text().splitlines()[1:]
    for row, mask in zip(rows, masks, strict=True):
        shown = defects[row.split(",")[0]]
        assert set(np.unique(mask)) - {0} == {1 + names.index(CLASSES[number - 1]) for number in shown}


def test_samples_are_samples(tmp_path):
    assert all(isinstance(item, Sample) for item in read(write(tmp_path, APART)))
