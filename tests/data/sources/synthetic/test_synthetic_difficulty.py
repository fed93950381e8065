"""No shortcut tells the cause: neither colours, nor texture of the whole picture, nor the file, nor the mark's size."""

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def shares(channel, top=256):
    return np.histogram(channel, 16, (0, top))[0] / channel.size


def colour_histograms(image):
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2HSV))
    others = [*cv2.split(image), saturation, value, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)]
    return np.concatenate([shares(hue, 180), *map(shares, others)])


def gradient_histogram(image):
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return shares(np.minimum(slope, 511), 512)


def best_accuracy(features, labels):
    models = [make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=300)) for C in STRENGTHS]
    return max(cross_val_score(model, np.array(features), labels, cv=FOLDS).mean() for model in models)


@pytest.fixture(scope="module")
def labels(default_set):
    return np.array([sample.label for sample in default_set])


@pytest.fixture(scope="module")
def images(default_set):
    return [decoded(sample.image) for sample in default_set]


@pytest.fixture(scope="module")
def mark_shares(default_set):
    return np.array([(decoded(sample.mask).max(-1) > 0).mean() for sample in default_set])


def test_colour_and_intensity_histograms_do_not_tell_the_cause(images, labels):
    assert best_accuracy([colour_histograms(image) for image in images], labels) < 0.6


def test_global_texture_does_not_tell_the_cause(images, labels):
    assert best_accuracy([gradient_histogram(image) for image in images], labels) < 0.65


def test_the_check_itself_finds_a_planted_colour(images, labels):
    planted = [
        np.clip(image * (1.3 if label == "flame" else 0.8), 0, 255).astype(np.uint8)
        for image, label in zip(images, labels, strict=True)
    ]
    assert best_accuracy([colour_histograms(image) for image in planted], labels) > 0.7


def test_the_file_does_not_tell_the_cause(default_set, labels):
    properties = [[len(sample.image), *decoded(sample.image).shape] for sample in default_set]
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    assert best_accuracy(properties, labels) < 0.55
    assert cross_val_score(tree, properties, labels, cv=FOLDS).mean() < 0.55


def test_png_files_hold_pixels_alone(default_set):
    for data in (data for sample in default_set for data in (sample.image, sample.mask)):
        chunks, at = [], 8
        while at < len(data):
            chunks.append(data[at + 4 : at + 8])
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}
        assert data[24:26] == bytes([8, 2])  # 8 bits a channel, RGB


def test_the_size_of_the_mark_alone_does_not_tell_the_cause(mark_shares, labels):
    assert best_accuracy(mark_shares[:, None], labels) < 0.6


def test_every_mark_is_seen_and_leaves_room_for_its_surroundings(mark_shares):
    assert mark_shares.min() > 0.02
    assert mark_shares.max() < 0.35
    assert 0.08 < np.median(mark_shares) < 0.2
