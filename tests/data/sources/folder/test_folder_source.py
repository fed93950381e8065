import os
from pathlib import Path

import pytest

from defectdistill.data.errors import DataError
from defectdistill.data.sources.folder.source import samples


def labels(found):
    return {name: sample.label for name, sample in found.items()}


def masks(found, root):
    return {name: sample.mask and sample.mask.relative_to(root).as_posix() for name, sample in found.items()}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/1.png", "b/2.png"], {"a/1.png": "a", "b/2.png": "b"}),
        (["A/Imgs/1.jpg", "B/Imgs/2.jpg"], {"A/Imgs/1.jpg": "A", "B/Imgs/2.jpg": "B"}),
        (["images/a/1.png", "images/b/2.png"], {"images/a/1.png": "a", "images/b/2.png": "b"}),
        (["set/v1/a/1.png", "set/v1/b/2.png"], {"set/v1/a/1.png": "a", "set/v1/b/2.png": "b"}),
        (["a/raw/1.png", "b/raw/2.png"], {"a/raw/1.png": "a", "b/raw/2.png": "b"}),
        (["train/a/1.png", "test/b/1.png"], {"train/a/1.png": "a", "test/b/1.png": "b"}),
        (["train_img/a/1.png", "test images/b/1.png"], {"train_img/a/1.png": "a", "test images/b/1.png": "b"}),
        (["train/imgs/a b/1.png", "val/imgs/c/1.png"], {"train/imgs/a b/1.png": "a b", "val/imgs/c/1.png": "c"}),
        (["a/1.png", "a/more/3.png", "b/2.png"], {"a/1.png": "a", "a/more/3.png": "a", "b/2.png": "b"}),
        (["a/1.png", "b/2.png", "unlabelled/3.png", "Unlabeled/x/4.png"],
         {"a/1.png": "a", "b/2.png": "b", "unlabelled/3.png": None, "Unlabeled/x/4.png": None}),
        (["only/1.png", "only/2.png"], {"only/1.png": "only", "only/2.png": "only"}),
    ],
)  # fmt: skip
def test_the_class_is_the_folder_that_distinguishes(tree, paths, expected):
    found, rejected = tree(*paths)
    assert labels(found) == expected
    assert not rejected


def test_two_levels_that_could_be_the_class_are_asked_about(tree):
    paths = ["mill 1/a/1.png", "mill 1/b/2.png", "mill 2/a/3.png", "mill 2/b/4.png"]
    asked = r"level 1: mill 1, mill 2; level 2: a, b\); say which with ingest\.folder\.class_level"
    with pytest.raises(DataError, match=asked):
        tree(*paths)
    assert set(labels(tree(class_level=2)[0]).values()) == {"a", "b"}
    assert set(labels(tree(class_level=-1)[0]).values()) == {"a", "b"}
    assert set(labels(tree(class_level=1)[0]).values()) == {"mill 1", "mill 2"}
    with pytest.raises(DataError, match="count from 1"):
        tree(class_level=0)


@pytest.mark.parametrize("few", [["line 1/plan.jpg", "line 2/plan.jpg"], ["line 1/plan.jpg"]])
def test_a_few_photographs_that_lie_higher_do_not_decide_the_class(tree, few):
    paths = [f"line {line}/{name}/{n}.png" for line in (1, 2) for name in ("dent", "good") for n in range(3)]
    with pytest.raises(DataError, match=r"level 1: line 1, line 2; level 2: dent, good"):
        tree(*paths, *few)
    with pytest.raises(DataError, match=rf"Higher .* lie {len(few)} of {12 + len(few)} images, line 1/plan\.jpg first"):
        tree()
    found, rejected = tree(class_level=2)
    assert set(labels(found).values()) == {"dent", "good"}
    assert set(rejected) == set(few)


def test_a_photograph_above_all_class_folders_is_no_class(tree):
    paths = [f"data/{name}/{n}.png" for name in ("dent", "good") for n in range(5)]
    with pytest.raises(DataError, match=r"level 2: dent, good.* 1 of 11 images, data/plan\.jpg first"):
        tree(*paths, "data/plan.jpg")


def test_a_class_with_a_folder_named_like_another_is_kept(tree):
    found, rejected = tree("dent/1.png", "dent/2.png", "dent/scratch/3.png", "good/4.png", "scratch/5.png")
    assert labels(found)["dent/1.png"] == labels(found)["dent/scratch/3.png"] == "dent"
    assert set(labels(found).values()) == {"dent", "good", "scratch"}
    assert not rejected


def test_uneven_depth_takes_the_nearest_folder_if_told(tree):
    found, rejected = tree("defects/a/1.png", "defects/b/2.png", "good/3.png", "4.png", class_level=-1)
    assert labels(found) == {"defects/a/1.png": "a", "defects/b/2.png": "b", "good/3.png": "good"}
    assert "no class folder" in rejected["4.png"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("a/Imgs/x.jpg", "a/Imgs/x.png"),
        ("a/x.JPG", "a/x.PNG"),
        ("a/x.bmp", "a/x.png"),
        ("a/x.png", "a/x.gif"),
        ("a/x 1.png", "a/x 1_mask.png"),
        ("a/x.png", "a/x-MASK.jpg"),
        ("a/x.png", "a/x_gt.png"),
        ("a/x.png", "a/x_label.bmp"),
        ("a/x.png", "a/x_seg.tif"),
        ("a/x.v2.png", "a/x.v2.mask.png"),
        ("images/a/x.png", "masks/a/x.png"),
        ("images/a/x.jpg", "annotations/a/x_mask.png"),
        ("a/x.png", "masks/a/x.png"),
        ("a/images/x.png", "a/ground truth/x.png"),
        ("a/x.png", "a/Ground_Truth/x.png"),
        ("train/images/a/x.png", "train/labels/a/x.png"),
        ("test/a/x.png", "ground_truth/a/x_mask.png"),
        ("images/a/x.png", "masks/x.png"),
        ("train/images/a/x.png", "train/gt/x.png"),
        ("a/x.png", "a_mask/x.png"),
        ("a/x.jpg", "SegmentationClass/a/x.png"),
        ("images/a/x.jpg", "SegmentationObjectPNG/a/x.png"),
        ("images/a/x.png", "mask_images/a/x.png"),
        ("Train_images/a/x.jpg", "train_masks/a/x.png"),
        ("test/img/a/x.png", "test_lab/a/x.png"),
        ("a/images/x.png", "a/mask_png/x.png"),
        ("images/a/x.png", "ann/a/x.png"),
        ("a/x.png", "a/x_mask1.png"),
        ("a/x.png", "a/x_mask_01.png"),
        ("a/x.png", "a/mask_x.png"),
        ("a/img_x.png", "a/mask_x.png"),
        ("a/x.jpg", "a/x.jpg.png"),
        ("a/x.jpg", "a/x.jpg_mask.png"),
        ("images/a/x.jpg", "masks/a/x.jpg.png"),
        ("a/x.jpg", "a/Masken/x.png"),
        ("a/image-x.jpg", "a/x_mask.png"),
        ("a/part_x_001.png", "a/part_x_mask_001.png"),
        ("images_train/a/x.jpg", "masks_train/a/x.png"),
        ("test/a/x.jpg", "labels_test/a/x.png"),
        ("a/x\u00e4.jpg", "a/xa\u0308_mask.png"),
        ("a/\u00e4/x\u00e4.jpg", "a/a\u0308/xa\u0308.png"),
        ("a/x_img.jpg", "a/x_mask.png"),
        ("images/a/x_img.jpg", "masks/a/x_mask.png"),
        ("images/a/x.jpg", "masks/a/mask_x.png"),
        ("images/a/x.jpg", "gt_masks/a/x.png"),
        ("images/a/x.jpg", "masks_machine/a/x.png"),
        ("images/a/x.jpg", "groundtruth_masks/a/x.png"),
        ("images/a/x.jpg", "ground_truths/a/x.png"),
        ("images/a/x.jpg", "annotated/a/x.png"),
        ("images/a/x\u00e4.jpg", "masks/a/xa\u0308.png"),  # one name, as two systems write it
    ],
)
def test_masks_beside_and_in_a_parallel_tree(tree, image, mask):
    other = image.replace("a/", "b/").replace("x", "y")
    found, rejected = tree(image, mask, other)
    assert masks(found, tree.root) == {image: mask, other: None}
    assert labels(found) == {image: "a", other: "b"}
    assert not rejected


def test_a_numbered_mask_goes_to_the_photograph_of_that_number(tree):
    paths = ["a/x.jpg", "a/x_2.jpg", "b/1.jpg"]
    for mask in ("masks/a/x_mask_2.png", "a/x_mask_2.png"):
        assert masks(tree(*paths, mask)[0], tree.root) == {"a/x.jpg": None, "a/x_2.jpg": mask, "b/1.jpg": None}
        (tree.root / mask).unlink()


@pytest.mark.parametrize(
    ("first", "second"),
    [("SegmentationClass", "SegmentationObject"), ("masks_machine", "masks_human"), ("masks", "instance_masks")],
)
def test_of_two_forms_of_the_same_masks_one_is_read(tree, first, second):
    found, rejected = tree("a/x.jpg", f"{first}/a/x.png", f"{second}/a/x.png", "b/y.jpg")
    assert masks(found, tree.root) == {"a/x.jpg": f"{first}/a/x.png", "b/y.jpg": None}
    assert not rejected


@pytest.mark.parametrize(
    "overlay",
    ["a/x_overlay.jpg", "a/x-viz.png", "SegmentationClassVisualization/a/x.jpg", "a/overlays/x.jpg", "a/x_vis.jpg"],
)
def test_photographs_with_something_drawn_over_are_left_out(tree, overlay):
    found, rejected = tree("a/x.jpg", "b/y.jpg", overlay)
    assert set(found) == {"a/x.jpg", "b/y.jpg"}
    assert "drawn over" in rejected[overlay]


def test_a_photograph_may_hold_a_suffix_in_its_name(tree):
    found, rejected = tree("a/x.jpg.png", "a/x.jpg_mask.png", "b/y.v2.tif.jpg")
    assert masks(found, tree.root) == {"a/x.jpg.png": "a/x.jpg_mask.png", "b/y.v2.tif.jpg": None}
    assert not rejected


def test_a_name_like_an_overlay_without_its_photograph_is_kept(tree):
    assert set(tree("a/x_vis.jpg", "a/x_ir.jpg", "b/y.jpg")[0]) == {"a/x_vis.jpg", "a/x_ir.jpg", "b/y.jpg"}


def test_the_same_name_in_two_classes_keeps_its_own_mask(tree):
    found, _ = tree(*(f"{kind}/{name}/1.png" for kind in ("images", "masks") for name in "ab"))
    assert masks(found, tree.root) == {"images/a/1.png": "masks/a/1.png", "images/b/1.png": "masks/b/1.png"}


def test_a_mask_that_fits_two_images_is_left_out(tree):
    found, rejected = tree("images/a/1.png", "images/b/1.png", "masks/1.png")
    assert set(masks(found, tree.root).values()) == {None}
    assert "images/a/1.png, images/b/1.png alike" in rejected["masks/1.png"]


def test_masks_without_an_image_are_never_photographs(tree):
    found, rejected = tree("a/1.png", "b/2.png", "a/3_mask.png", "masks/a/4.png")
    assert set(found) == {"a/1.png", "b/2.png"}
    assert "no image '3'" in rejected["a/3_mask.png"]
    assert "no image goes with it" in rejected["masks/a/4.png"]


def test_an_image_with_two_masks_is_left_out(tree):
    _, rejected = tree("a/1.png", "a/1_mask.png", "masks/a/1.png", "b/2.png")
    assert "several masks (a/1_mask.png, masks/a/1.png)" in rejected["a/1.png"]


def test_a_class_may_be_named_like_a_mask_folder_with_an_ending(tree):
    found, _ = tree("torn_label/1.png", "good/2.png")
    assert labels(found) == {"torn_label/1.png": "torn_label", "good/2.png": "good"}


def test_two_photographs_of_one_kind_and_stem_are_both_images(tree):
    found, _ = tree("a/1.jpg", "a/1.jpeg", "b/2.png")
    assert masks(found, tree.root) == {"a/1.jpg": None, "a/1.jpeg": None, "b/2.png": None}


def test_litter_and_other_files_are_passed_over(tree):
    found, rejected = tree(
        "a/1.png", "b/2.TIF", "a/.hidden.png", ".cache/a/1.png", "a/Thumbs.db", "a/.DS_Store", "README.md", "a/x.csv",
        "b/list.txt", "b/x.mat", "__MACOSX/a/1.png", "a/@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/1.png",
        "b/thumbnails/2.jpg",
    )  # fmt: skip
    assert set(found) == {"a/1.png", "b/2.TIF"}
    assert not rejected


def test_a_class_that_would_vanish_is_named(tree):
    (tree.root / "rust").mkdir()
    found, rejected = tree("a/1.png", "b/2.png", "torn/1.RAF", "hole/1", "hole/2.xml", "label/5.png", "valid/6.png")
    assert set(labels(found).values()) == {"a", "b"}
    assert "raw file" in rejected["torn/1.RAF"]
    assert "an empty folder" in rejected["rust"]
    assert "without an image (2 files, endings: no ending, .xml)" in rejected["hole"]
    assert "or the folder if it is a class" in rejected["label/5.png"]
    assert "if 'valid' is a class" in rejected["valid/6.png"]
    too_high = tree("c/d/1.png", "c/e/2.png", "f/3.png", class_level=2)[1]
    assert "is a class" not in too_high["f/3.png"]


def test_classes_that_differ_in_writing_alone(tree):
    composed, taken_apart = "\u00d6l", "O\u0308l"
    found, _ = tree(f"train/{composed}/1.png", f"test/{taken_apart}/2.png", "train/b/3.png")
    assert set(labels(found).values()) == {composed, "b"}
    with pytest.raises(DataError, match="'Crack' and 'crack' differ in capital letters alone"):
        tree("train/Crack/1.png", "test/crack/2.png")


def test_images_outside_of_class_folders_are_left_out(tree):
    found, rejected = tree("a/1.png", "b/2.png", "3.png", "images/4.png")
    assert set(found) == {"a/1.png", "b/2.png"}
    assert set(rejected) == {"3.png", "images/4.png"}
    assert "'unlabelled'" in rejected["3.png"]


def test_links_never_lead_out_of_the_folder(tree, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.png").write_bytes(b"secret")
    (tree.root / "a").mkdir()
    (tree.root / "a/out.png").symlink_to(outside / "secret.png")
    (tree.root / "a/dead.png").symlink_to(tree.root / "nowhere.png")
    (tree.root / "c").symlink_to(outside)
    (tree.root / "loop").symlink_to(tree.root)
    (tree.root / "a/in.png").symlink_to(tree.root / "b/2.png")
    found, rejected = tree("a/1.png", "b/2.png", "d/3.png")
    assert set(found) == {"a/1.png", "d/3.png"}
    assert "out of the folder" in rejected["a/out.png"]
    assert "out of the folder" in rejected["c"]
    assert "nowhere" in rejected["a/dead.png"]
    assert "another folder is not followed" in rejected["loop"]
    assert "same bytes as b/2.png" in rejected["a/in.png"]


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname != "Linux", reason="other systems refuse such names")
def test_names_that_are_not_utf8_are_left_out(tree):
    (tree.root / "a").mkdir()
    with open(os.fsencode(tree.root / "a") + b"/\xff.png", "wb") as file:
        file.write(b"x")
    _, rejected = tree("a/1.png", "b/2.png")
    assert "UTF-8" in next(iter(rejected.values()))


def test_duplicates_under_one_class_leave_one(tree):
    for path in ("a/1.png", "a/deep/1 (copy).png", "a/2.png", "a/3.png"):
        (tree.root / path).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / path).write_bytes(b"same" if path != "a/3.png" else b"else")
    found, rejected = tree("b/9.png", "a/2_mask.png")
    assert set(found) == {"a/2.png", "a/3.png", "b/9.png"}  # the one with a mask
    assert set(rejected.values()) == {"same bytes as a/2.png, which is kept"}


def test_duplicates_under_two_classes_are_all_left_out(tree):
    tree("a/1.png", "b/2.png", "b/3.png", "unlabelled/4.png")
    for path in ("a/1.png", "b/2.png", "unlabelled/4.png"):
        (tree.root / path).write_bytes(b"same")
    found, rejected = tree()
    assert set(found) == {"b/3.png"}
    assert rejected["a/1.png"] == "same bytes as b/2.png, which lies under 'b'; keep the right one"
    assert rejected["b/2.png"] == "same bytes as a/1.png, which lies under 'a'; keep the right one"
    assert "several classes" in rejected["unlabelled/4.png"]


def test_a_labelled_image_wins_over_its_copy_without_a_label(tree):
    tree("a/1.png", "b/2.png", "unlabelled/0.png")
    (tree.root / "unlabelled/0.png").write_bytes((tree.root / "a/1.png").read_bytes())
    found, rejected = tree()
    assert set(found) == {"a/1.png", "b/2.png"}
    assert "same bytes as a/1.png" in rejected["unlabelled/0.png"]


def test_empty_files_are_no_duplicates_of_each_other(tree):
    tree("a/1.png", "b/2.png")
    for name in "ab":
        (tree.root / name / "0.png").write_bytes(b"")
    assert {"a/0.png", "b/0.png"} <= set(tree()[0])


@pytest.mark.parametrize("copy", ["a/a/1.jpg", "set/a/Imgs/1.jpg", "a/Imgs/Imgs/1.jpg"])
def test_a_nested_stray_copy_is_noticed(tree, copy):
    tree("a/Imgs/1.jpg", "b/Imgs/2.jpg", copy)
    (tree.root / copy).write_bytes((tree.root / "a/Imgs/1.jpg").read_bytes())
    found, rejected = tree()
    assert set(labels(found).values()) == {"a", "b"}
    assert list(rejected.values()) in (
        ["same bytes as a/Imgs/1.jpg, which is kept"],
        [f"same bytes as {copy}, which is kept"],
    )


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*nowhere"):
        next(samples(tmp_path / "nowhere"))


def test_nothing_is_decoded_and_paths_are_handed_on(tree):
    found, _ = tree("a/1.png", "b/2.png")
    assert found["a/1.png"].image_bytes() == b"bytes of a/1.png"
    assert found["a/1.png"].image == tree.root / "a/1.png"


def test_photographs_may_be_called_label_3(tree):
    found, rejected = tree("a/label_3.png", "a/mask 1.jpg", "b/gt_x.png", "b/tin_label_7.png", "b/mask_..png")
    assert len(found) == 5
    assert not rejected
    assert not any(masks(found, tree.root).values())


@pytest.mark.parametrize(
    "name", ["a/a_masks/x.png", "masks_v2/a/x.png", "masks 2/a/x.png", "mask_new/a/x.png", "a/x_msk.png"]
)
def test_masks_in_places_that_are_called_nearly_so(tree, name):
    found, rejected = tree("a/x.jpg", "b/y.jpg", name)
    assert found["a/x.jpg"].mask == tree.root / name
    assert not rejected


def test_a_folder_of_other_pictures_of_the_same_classes_is_no_stray_copy(tree):
    paths = [f"{name}/{n}.jpg" for name in ("dent", "good") for n in range(3)]
    with pytest.raises(DataError, match="level 1: augmented, dent, good; level 2: dent, good"):
        tree(*paths, *(f"augmented/{path.replace('.jpg', '_turned.jpg')}" for path in paths))


@pytest.mark.parametrize("name", ["unlabelled_images", "Unlabeled photos", "unlabelled data", "unlabelled 2"])
def test_folders_of_photographs_without_a_label(tree, name):
    assert tree("a/1.png", "b/2.png", f"{name}/3.png")[0][f"{name}/3.png"].label is None


def test_a_class_of_bottles_without_a_label_is_a_class(tree):
    assert tree("a/1.png", "unlabelled bottles/3.png")[0]["unlabelled bottles/3.png"].label == "unlabelled bottles"


def test_changed_copies_by_their_names_are_one_object(tree):
    one, two = "a/IMG_3_jpg.rf.0a1b2c3d4e.jpg", "a/IMG_3_jpg.rf.ffffffff00.jpg"
    found, _ = tree(one, two, "a/IMG_4.rf.jpg", "b/5.jpg")
    assert found[one].group == found[two].group == "IMG_3_jpg"
    assert found["a/IMG_4.rf.jpg"].group is None


def test_the_split_that_a_set_comes_with_is_told(tree):
    found, _ = tree("train/a/1.png", "valid/b/2.png", "Test/a/3.png", "test_images/b/4.png", "a/5.png")
    assert {name: item.split for name, item in found.items()} == {
        "train/a/1.png": "train", "valid/b/2.png": "train", "Test/a/3.png": "test", "test_images/b/4.png": "test",
        "a/5.png": None,
    }  # fmt: skip


def test_a_file_that_may_not_be_read_ends_no_search_for_duplicates(tree, monkeypatch):
    tree("a/1.png", "a/2.png", "b/3.png")
    opened = Path.open

    def refused(path, *arguments, **keywords):
        if path.name == "2.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", refused)
    assert set(tree()[0]) == {"a/1.png", "a/2.png", "b/3.png"}, "left to ingest, which names the reason"
