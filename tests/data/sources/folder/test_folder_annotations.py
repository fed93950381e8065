"""Folders where somebody marked the defects in a form that is not read: that must not go by without a word."""

import json

import pytest

LATE = '{"images": [' + ", ".join(['{"file_name": "a.png"}'] * 5000) + '], "annotations": [{"id": 1}]}'  # beyond 100 kB
LABELME = json.dumps({"version": "5.0", "shapes": [{"label": "dent", "points": [[1, 2], [3, 4]]}]})
COCO = json.dumps({"images": [], "annotations": [{"bbox": [1, 2, 3, 4]}]})
SUPERVISELY = json.dumps({"objects": [{"geometryType": "polygon"}]})
VOC = "<annotation><object><name>dent</name><bndbox><xmin>1</xmin></bndbox></object></annotation>"
YOLO = "0 0.5 0.5 0.2 0.1\n1 0.25 0.5 0.2 0.1\n"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a/1.json", LABELME, "JSON"),
        ("annotations/instances.json", COCO, "JSON"),
        ("instances.json", LATE, "JSON"),
        ("a/1.xml", VOC, "XML"),
        ("labels/1.txt", YOLO, "TXT"),
        ("ann/1.png.json", SUPERVISELY, "JSON"),
    ],
)
def test_annotations_of_photographs_without_masks_are_listed(tree, name, text, kind):
    tree("a/1.png", "b/2.png")
    (tree.root / name).parent.mkdir(exist_ok=True)
    (tree.root / name).write_text(text)
    found, rejected = tree()
    assert set(found) == {"a/1.png", "b/2.png"}
    assert f"an annotation as {kind}, which is not read; export masks" in rejected[name]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a/1.json", json.dumps({"camera": "X100", "exposure": 0.1})),
        ("a/1.txt", "a scratch on the left\n"),
        ("a/notes.txt", YOLO),
        ("a/1.txt", ""),
        ("a/1.json", json.dumps({"version": "5.0", "shapes": []})),
        ("groups.xml", "<groups/>"),
    ],
)
def test_other_files_beside_photographs_are_passed_over(tree, name, text):
    tree("a/1.png", "b/2.png")
    (tree.root / name).write_text(text)
    assert tree()[1] == {}


def test_annotations_beside_masks_are_no_loss(tree):
    tree("a/1.png", "a/1_mask.png", "b/2.png")
    (tree.root / "a/1.json").write_text(LABELME)
    (tree.root / "instances.json").write_text(COCO)
    assert tree()[1] == {}


def test_where_some_photographs_have_a_mask_annotations_of_the_others_are_listed(tree):
    tree("a/1.png", "a/1_mask.png", "a/2.png", "b/3.png")
    (tree.root / "a/2.json").write_text(LABELME)
    assert list(tree()[1]) == ["a/2.json"]
