"""Which of the photographs that a classifier learned from are most like a new one, in the classifier's own eyes.

Distance: the cosine distance, 1 − cos in [0, 2], of the features of the deepest level, averaged over positions (what
the last layer of a network with global pooling decides on). What is far is told by the validation photographs, which
the network has not learned from either: training photographs are nearer to each other than any new one can be.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from defectdistill.data.fingerprint import fingerprint
from defectdistill.data.near_duplicates import SAME, compare
from defectdistill.data.packed import evenly, labels_of, open_array, read_index
from defectdistill.data.tables import read_json
from defectdistill.models.normalise import normalise
from defectdistill.predict import Predictor

SHOWN = 3
MOST = 5000  # training photographs that are compared with: 5000 of 224 px take about two minutes on two cores
SAVED_ANEW = 3.0  # grey levels of 255: a photograph that is saved anew differs by no more than this in the mean
USUAL = 0.99  # of the validation photographs are at most so far from what was learned; of 17 that means all


@dataclass(frozen=True)
class Neighbour:
    """A training photograph: its name, its class, its cosine distance, and itself, uint8 RGB (S, S, 3)."""

    name: str
    label: str
    distance: float
    image: np.ndarray


@dataclass(frozen=True)
class Nearest:
    """The nearest training photographs, nearest first, and what that means.

    `far`: even the first is unusually far (None where no validation photograph tells what is usual); `known`: the name
    of the one that is the very photograph that was asked about, None if none is.
    """

    neighbours: tuple[Neighbour, ...]
    far: bool | None
    known: str | None


class Neighbourhood:
    """The features of the training photographs, asked for the nearest to a new one.

    `features` is float32 (N, C) of length 1; `images` uint8 RGB (M, S, S, 3), memory-mapped, of which `rows` (N) are
    compared with; `names` and `labels` (N); `usual` the distance up to which a new photograph is nothing special.
    """

    def __init__(self, features: np.ndarray, images: np.ndarray, rows: np.ndarray, names: list[str], labels: list[str]):
        self.features, self.images, self.rows, self.names, self.labels = features, images, rows, names, labels
        self.usual: float | None = None

    @classmethod
    def build(cls, predictor: Predictor, prepared: Path, most: int = MOST) -> "Neighbourhood":
        """Compute the features of `prepared`/train, of at most `most` photographs drawn evenly, and of val.

        Raises FileNotFoundError or ValueError that says why there are none.
        """
        classes = read_json(prepared / "summary.json").get("classes")
        if classes != predictor.classes:
            raise ValueError(f"{prepared} holds the classes {classes}, the model knows {predictor.classes}")
        train = prepared / "train"
        index, images, labels = read_index(train), open_array(train / "images.npy"), labels_of(train)
        photographs = np.array([row for row, entry in enumerate(index) if entry.get("copy", "0") == "0"], dtype=int)
        if not len(photographs):
            raise ValueError(f"{train} holds no photograph")
        rows = evenly(photographs, most)
        names, known = [index[row]["name"] for row in rows], [classes[labels[row]] for row in rows]
        built = cls(features_of(predictor, images, rows), images, rows, names, known)
        built.usual = built.usual_distance(predictor, prepared / "val")
        return built

    def usual_distance(self, predictor: Predictor, folder: Path) -> float | None:
        """Return the distance that USUAL of the photographs of a split keep, None without such a split."""
        if not (folder / "images.npy").is_file():
            return None
        images = open_array(folder / "images.npy")
        if not len(images):
            return None
        unseen = features_of(predictor, images, evenly(np.arange(len(images)), MOST))
        return float(np.quantile(self.distances(unseen).min(axis=1), USUAL, method="higher"))

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return the cosine distances of features (M, C) to those of all training photographs: (M, N) in [0, 2]."""
        return np.clip(1 - features @ self.features.T, 0, 2)

    def nearest(self, predictor: Predictor, image: np.ndarray, count: int = SHOWN) -> Nearest:
        """Return the `count` nearest training photographs to a prepared image, uint8 RGB (S, S, 3)."""
        distances = self.distances(features_of(predictor, image[None], np.arange(1)))[0]
        order = np.argsort(distances, kind="stable")[:count]
        found = [
            Neighbour(self.names[i], self.labels[i], float(distances[i]), np.array(self.images[self.rows[i]]))
            for i in order
        ]
        same = [each.name for each in found if are_same(predictor.preprocess(each.image), image)]
        far = None if self.usual is None else bool(distances.min() > 1.01 * self.usual + 1e-6)  # beyond rounding
        return Nearest(tuple(found), far, same[0] if same else None)


def are_same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two prepared images, uint8 RGB (S, S, 3), are one photograph, saved anew perhaps.

    Grey levels alone do not tell: two photographs of smooth metal differ by as little. What is left of their fine
    structure does, as it does for the copies that `prepare` finds. A surface too even to have one counts as another
    once it is saved anew: no warning is better than a wrong one.
    """
    if np.array_equal(one, other):
        return True
    if np.abs(one.astype(np.int16) - other).mean() > SAVED_ANEW:
        return False
    return compare(np.stack([fingerprint(one), fingerprint(other)]), 0, 1, turn=0).similarity >= SAME


@torch.inference_mode()
def features_of(predictor: Predictor, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the pooled features of the deepest level of `rows` of uint8 RGB (N, S, S, 3): float32 (M, C), length 1.

    Raises ValueError for a network without a feature level.
    """
    student = predictor.student
    taps = student.taps()
    if not taps:
        raise ValueError("this kind of network has no feature level that could be compared")
    deepest, device = taps[max(taps)], next(student.parameters()).device
    found = []
    with tqdm(total=len(rows), desc="features", unit=" images", disable=None if len(rows) > 1 else True) as progress:
        for start in range(0, len(rows), predictor.batch_size):
            part = rows[start : start + predictor.batch_size]
            batch = np.stack([predictor.preprocess(np.asarray(images[row])) for row in part])
            _, levels = student.forward_with_features(
                normalise(torch.from_numpy(batch).to(device)), {deepest.stride: deepest}
            )
            found.append(levels[deepest.stride].mean(dim=(2, 3)).float().cpu())
            progress.update(len(part))
    return torch.nn.functional.normalize(torch.cat(found), dim=1).numpy()
