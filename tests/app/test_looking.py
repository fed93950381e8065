import io
import itertools
import shutil
import threading
from dataclasses import replace

import cv2
import gradio as gr
import numpy as np
import pytest
import torch
from app_project import BOX, CLASSES, SIDE, change, encoded, make_project, photograph
from gradio.state_holder import SessionState
from PIL import Image

from defectdistill import checkpoint
from defectdistill.app import neighbours
from defectdistill.app.collection import Collection
from defectdistill.app.limits import Limits
from defectdistill.app.loaded import Loaded
from defectdistill.app.look_tab import look_tab
from defectdistill.app.looking import Refused, examine, heated, look, thumbnail
from defectdistill.app.neighbours import Neighbourhood, are_same, features_of
from defectdistill.app.uploads import Upload
from defectdistill.assess import Assessor
from defectdistill.data.tables import read_table, write_table
from defectdistill.models.normalise import normalise
from defectdistill.models.students import build_student, classifier_config
from defectdistill.predict import Predictor

UPLOAD = Upload("a.png", None)


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("model", ["student", "baseline"])
def test_a_finding_is_what_the_assessor_says(loaded, project, label, model):
    image = photograph(label, 77, 90, 60)
    found = examine(image, UPLOAD, model, loaded)
    expected = Assessor.load(project / "models" / model, project / "metrics/calibration.json", model)([image])
    assert found.predicted == label == expected.classes[0]
    np.testing.assert_allclose(list(found.probabilities.values()), expected.probabilities[0])
    assert found.uncertain == expected.uncertain[0]
    assert found.uncertain == (model == "baseline")  # which has no threshold
    assert found.confidence == pytest.approx(max(found.probabilities.values()))
    assert found.photo.shape == found.heat.shape == (90, 60, 3)
    assert [kin.label for kin in found.nearest.neighbours] == [label] * 3


def test_a_file_that_is_no_photograph_is_refused_and_the_others_are_not(loaded, tmp_path):
    for name, data in (("a.png", encoded(photograph("red_stain", 5))), ("b.png", b"\x89PNG")):
        (tmp_path / name).write_bytes(data)
    found = [look(Upload(name, tmp_path / name), "student", loaded, Limits()) for name in ("b.png", "a.png")]
    assert isinstance(found[0], Refused)
    assert "damaged" in found[0].reason
    assert found[1].predicted == "red_stain"


def test_the_heat_lies_on_the_photograph_where_the_map_is_high(loaded):
    image = photograph("red_stain", 3, 2 * SIDE, SIDE)
    photo = thumbnail(image)
    maps = np.zeros((1, SIDE, SIDE), np.float32)
    maps[0][BOX] = 5
    changed = np.abs(heated(photo, maps, image.shape[:2], SIDE, "squash").astype(int) - photo).sum(axis=2)
    inside = np.zeros(photo.shape[:2], bool)
    inside[16:40, 12:24] = True  # BOX, on a photograph twice as high
    assert changed[inside].min() > 0
    away = np.ones(photo.shape[:2], bool)
    away[14:42, 10:26] = False  # what is enlarged ends softly
    assert not changed[away].any()
    assert not np.abs(heated(photo, 0 * maps, image.shape[:2], SIDE, "squash").astype(int) - photo).any()
    padded = np.zeros((1, SIDE, SIDE), np.float32)
    padded[0, :, 8:16] = 1  # the left half of what `pad` leaves in the middle
    changed = np.abs(heated(photo, padded, image.shape[:2], SIDE, "pad").astype(int) - photo).sum(axis=2)
    assert changed[:, :14].all()
    assert not changed[:, 18:].any()


def test_pictures_shrink_and_never_grow():
    assert thumbnail(np.zeros((1000, 500, 3), np.uint8), 100).shape == (100, 50, 3)
    assert thumbnail(np.zeros((10, 3000, 3), np.uint8), 100).shape == (1, 100, 3)
    assert thumbnail(np.zeros((40, 30, 3), np.uint8), 100).shape == (40, 30, 3)


def test_distances_are_the_cosine_distances_of_pooled_features(loaded, project):
    predictor = loaded.assessors["student"].predictor
    images = np.load(project / "data/prepared/train/images.npy")
    features = features_of(predictor, images, np.array([2, 0]))
    taps = predictor.student.taps()
    deepest = taps[max(taps)]
    with torch.no_grad():
        _, levels = predictor.student.forward_with_features(
            normalise(torch.from_numpy(images[[2, 0]])), {deepest.stride: deepest}
        )
    pooled = levels[deepest.stride].mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(features, pooled / np.linalg.norm(pooled, axis=1, keepdims=True), rtol=1e-5)
    cosine = (pooled[0] @ pooled[1]) / np.linalg.norm(pooled[0]) / np.linalg.norm(pooled[1])
    near = loaded.neighbourhood("student")
    assert near.distances(features[:1])[0, 0] == pytest.approx(1 - cosine, abs=1e-5)


def test_a_photograph_that_was_learned_from_is_known_and_a_new_one_is_not(loaded, project):
    predictor, near = loaded.assessors["student"].predictor, loaded.neighbourhood("student")
    images = np.load(project / "data/prepared/train/images.npy")
    found = near.nearest(predictor, images[4])
    assert found.neighbours[0].name == found.known == "blue_stain/train4.png"
    assert found.neighbours[0].distance == pytest.approx(0, abs=1e-6)
    assert [kin.distance for kin in found.neighbours] == sorted(kin.distance for kin in found.neighbours)
    saved_anew = np.clip(images[4].astype(int) + np.random.default_rng(0).integers(-2, 3, images[4].shape), 0, 255)
    assert near.nearest(predictor, saved_anew.astype(np.uint8)).known == "blue_stain/train4.png"
    assert near.nearest(predictor, photograph("blue_stain", 500)).known is None


def metal(seed, pit=None, side=128):
    """Return smooth metal, lit from one side, with a pit in the middle of `pit` if given."""
    grey = 130 + np.linspace(0, 20, side) + np.random.default_rng(seed).normal(0, 2.2, (side, side))
    if pit:
        cv2.circle(grey, pit, 4, 50, -1)
    return np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


def test_different_photographs_of_smooth_metal_are_not_one_and_one_saved_anew_is():
    pictures = [metal(0), metal(1), metal(2, pit=(38, 51)), metal(3, pit=(90, 77)), metal(4, pit=(38, 51))]
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one.astype(int) - other).mean() < 3  # grey levels tell little
        assert not are_same(one, other)
    for picture in pictures:
        assert are_same(picture, picture)
        assert are_same(picture, np.array(Image.open(io.BytesIO(encoded(picture, "JPEG", quality=95)))))
    even = np.full((128, 128, 3), 90, np.uint8)  # nothing to recognise it by but that it is the same
    assert are_same(even, even)
    assert not are_same(even, even + 1)


def test_what_is_far_is_told_by_the_validation_photographs(loaded, project):
    predictor, near = loaded.assessors["student"].predictor, loaded.neighbourhood("student")
    validation = np.load(project / "data/prepared/val/images.npy")
    assert not any(near.nearest(predictor, image).far for image in validation)
    assert max(near.nearest(predictor, image).neighbours[0].distance for image in validation) == pytest.approx(
        near.usual, abs=1e-6
    )
    assert near.nearest(predictor, np.full((SIDE, SIDE, 3), 255, np.uint8)).far
    assert near.nearest(predictor, np.full((SIDE, SIDE, 3), 255, np.uint8)).neighbours[0].distance > near.usual


def test_of_many_photographs_some_are_compared_with(project):
    predictor = Predictor.load(project / "models/student")
    near = Neighbourhood.build(predictor, project / "data/prepared", most=5)
    assert list(near.rows) == [0, 4, 8, 13, 17]
    assert near.labels == [CLASSES[row // 6] for row in near.rows]


def test_what_is_usual_is_told_by_validation_photographs_of_all_classes(project, monkeypatch):
    """Their index is in the order of classes: the first few would be of the first class alone."""
    seen = []
    monkeypatch.setattr(neighbours, "MOST", 3)
    monkeypatch.setattr(neighbours, "features_of", lambda *given: seen.append(list(given[2])) or features_of(*given))
    neighbours.Neighbourhood.build(Predictor.load(project / "models/student"), project / "data/prepared")
    assert seen[-1][0] == 0
    assert seen[-1][-1] == len(read_table(project / "data/prepared/val/index.csv")) - 1
    assert len(seen[-1]) == 3


def test_augmented_copies_are_compared_with_by_nobody(project, tmp_path):
    predictor, prepared = Predictor.load(project / "models/student"), tmp_path / "prepared"
    shutil.copytree(project / "data/prepared", prepared)
    index = prepared / "train/index.csv"
    rows = read_table(index)

    def make_copies(numbers):
        marked = [row | {"copy": str(int(number in numbers))} for number, row in enumerate(rows)]
        write_table(index, tuple(rows[0]), [tuple(row.values()) for row in marked])

    make_copies({0, 1, 4, 17})
    near = Neighbourhood.build(predictor, prepared)
    kept = [2, 3, *range(5, 17)]
    assert list(near.rows) == kept
    assert near.names == [rows[row]["name"] for row in kept]
    copy = np.load(prepared / "train/images.npy")[4]
    assert near.nearest(predictor, copy).known is None
    make_copies(set(range(len(rows))))
    with pytest.raises(ValueError, match="train holds no photograph"):
        Neighbourhood.build(predictor, prepared)


def test_without_prepared_data_the_page_says_why_and_still_answers(project, tmp_path):
    places = (project / "metrics/calibration.json", project / "metrics/evaluate.json", tmp_path / "nothing")
    found = examine(photograph("red_stain", 1), UPLOAD, "student", Loaded.open(project / "models", *places))
    assert found.predicted == "red_stain"
    assert found.nearest.startswith("Similar photographs cannot be shown: ")
    assert "run `dvc repro`" in found.nearest
    assert not found.is_unfamiliar


def test_a_network_without_levels_shows_no_spot_and_no_neighbour(loaded, project, monkeypatch):
    monkeypatch.setattr("defectdistill.models.students.Student.taps", lambda self: {})
    fresh = replace(loaded, _neighbourhoods={})
    found = examine(photograph("red_stain", 1), UPLOAD, "student", fresh)
    assert found.heat is None
    assert "no feature level" in found.nearest


def test_two_people_at_once_get_what_each_would_get_alone(loaded):
    images = [photograph(label, seed) for seed in range(200, 204) for label in CLASSES]
    alone = [examine(image, UPLOAD, "student", loaded) for image in images]
    together: list = [None] * len(images)

    def ask(position):
        together[position] = examine(images[position], UPLOAD, "student", loaded)

    threads = [threading.Thread(target=ask, args=(position,)) for position in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert one.probabilities == other.probabilities
        np.testing.assert_array_equal(one.heat, other.heat)
        assert [kin.name for kin in one.nearest.neighbours] == [kin.name for kin in other.nearest.neighbours]


def test_what_is_missing_is_said_and_the_student_alone_is_enough(tmp_path):
    project = make_project(tmp_path)
    for name in ("models/baseline/model.json", "metrics/evaluate.json"):
        (project / name).unlink()
    config = classifier_config("small_cnn_3", CLASSES, SIDE, "squash")
    checkpoint.save(project / "models/teacher", build_student("small_cnn_3", 3).state_dict(), config)
    places = (project / "metrics/calibration.json", project / "metrics/evaluate.json", project / "data/prepared")
    loaded = Loaded.open(project / "models", *places)
    assert list(loaded.assessors) == ["student"]
    assert loaded.teacher is None
    assert len(loaded.missing) == 3
    for words in ("baseline/model.json is missing", "teacher holds no teacher", "evaluate.json is missing: run `dvc"):
        assert words in " ".join(loaded.missing)
    change(project / "metrics/calibration.json", student=None)
    with pytest.raises(ValueError, match="no temperature and threshold for 'student'"):
        Loaded.open(project / "models", *places)
    places[0].unlink()
    with pytest.raises(FileNotFoundError, match=r"calibration\.json is missing: run `dvc repro`"):
        Loaded.open(project / "models", *places)


def test_what_a_closed_tab_has_seen_can_be_let_go(loaded, tmp_path):
    with gr.Blocks() as page:
        tab = look_tab(loaded, Collection(tmp_path / "collected", loaded.classes), Limits(), tmp_path)
    state, kept = SessionState(page), []
    for event in page.fns.values():
        if tab.session in event.inputs and event.name in ("dropped", "switched"):
            kept.append(event.name)
            assert tab.session in event.outputs
    assert sorted(kept) == ["dropped", "switched"]
    state[tab.session._id] = "what was seen"  # as Gradio does with an output
    state.is_closed, state.STATE_TTL_WHEN_CLOSED = True, -1
    assert [expired for component, _, expired in state.state_components if component is tab.session] == [True]
