"""When a challenger becomes the champion: better by more than the least gain, on photographs new to both."""

import json
from dataclasses import dataclass
from pathlib import Path

from defectdistill.evaluation.held_out import Photographs
from defectdistill.registry.mlflow_model import STUDENT, TRAINED_ON


@dataclass(frozen=True)
class Comparison:
    """The scores of challenger and champion on the same `images` photographs; `how` says which those are."""

    challenger: float
    champion: float
    images: int
    how: str


def compare_again(challenger: Path, champion: Path, test: Photographs, metric: str) -> Comparison | str:
    """Score both on the photographs of `test` that the champion was not trained on; else return why that cannot be.

    `challenger` is a checkpoint folder, `champion` the folder `artifacts` of a registered model. Raises OSError or
    ValueError for a champion that cannot be read.
    """
    unseen = test.unseen_by(json.loads((champion / TRAINED_ON).read_bytes()))
    lost = [name for index, name in enumerate(test.classes) if index in test.labels and index not in unseen.labels]
    if lost:
        return (
            f"it was trained on {len(test.paths) - len(unseen.paths)} of the {len(test.paths)} present test "
            f"photographs, all of {', '.join(lost)} among them"
        )
    key = metric.removeprefix("test/")
    scores = [unseen.scores(folder).get(key) for folder in (challenger, champion / STUDENT)]
    if None in scores:
        return f"the {len(unseen.paths)} test photographs that it was not trained on give no {metric}"
    how = f"measured again on those of {len(test.paths)} that the champion was not trained on"
    return Comparison(*scores, len(unseen.paths), how)


def verdict(compared: Comparison | str, metric: str, min_gain: float) -> tuple[bool, str]:
    """Return whether the challenger becomes the champion, and why in words."""
    if isinstance(compared, str):
        return False, f"{compared}; to decide by hand, move the alias on MLflow's page of the model (`make ui`)"
    gain = compared.challenger - compared.champion
    wins = round(gain, 9) > min_gain  # 0.8 − 0.7 is a little more than 0.1
    return wins, (
        f"the challenger's {metric} {compared.challenger:.4f} against the champion's {compared.champion:.4f} "
        f"({gain:+.4f}, it takes more than {min_gain:+g}). This rests on {compared.images} photographs "
        f"({compared.how}), each worth {100 / compared.images:.1f} points of accuracy: a difference of a few is luck"
    )
