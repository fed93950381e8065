"""Score every training over splits and seeds, and set the rows of rows.csv beside each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tqdm import tqdm

from defectdistill.data.packed import masked_in
from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.gathered import load_teacher
from defectdistill.evaluation.worth import Measured, Place, measured_student, measured_teacher, paired, test_share
from defectdistill.evaluation.worth_table import write_worth
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.predict import Predictor
from defectdistill.stage import run_stage
from defectdistill.training.compute import set_up

TABLE, ROWS, OUTPUT = Path("rows.csv"), Path("rows"), Path("table")


def measured(row: dict[str, str], seeds: list[int]) -> dict[Place, Measured]:
    """Ask every student of a row, or the teacher of each split, which counts for all seeds."""
    name, arm = row["row"], Path(row["arm"])
    if row["kind"] == "teacher":
        asked = {
            int(split.name): measured_teacher(load_teacher(split / "models/teacher", 16), split / "data/prepared")
            for split in arm.iterdir()
        }
        return {Place(name, split, seed): values for split, values in asked.items() for seed in seeds}
    found = {}
    for folder in sorted(ROWS.glob(f"{name}-*-*")):
        split, seed = map(int, folder.name.rsplit("-", 2)[1:])
        predictor = Predictor.load(folder / "models/student")
        found[Place(name, split, seed)] = measured_student(predictor, arm / str(split) / "data/prepared")
    return found


def main() -> None:
    """Read the trainings, the teachers and the photographs of each split, write table/."""
    params, rows = load_params(place("--data") / "params.yaml"), read_table(TABLE)
    set_up(params.compute.threads, "cpu", "fp32")  # one machine's test scores must be another's
    seeds = sorted({int(folder.name.rsplit("-", 1)[1]) for folder in ROWS.iterdir()})
    trained: dict[Place, Measured] = {}
    for row in tqdm(rows, unit=" rows", disable=None):
        trained |= measured(row, seeds)
    pairs = [(row["row"], reference) for row in rows for reference in row["against"].split()]
    arms = [sorted(Path(arm).glob("*/data/prepared")) for arm in dict.fromkeys(row["arm"] for row in rows)]
    masks = [[int(masked_in(split / "train", but="normal").sum()) for split in arm] for arm in arms]
    summaries = [read_json(split / "summary.json") for split in arms[0]]
    words = {row["row"]: row["words"] for row in rows}
    found = paired(trained, pairs, test_share(summaries))
    OUTPUT.mkdir(exist_ok=True)
    write_worth(OUTPUT, trained, found, words, summaries, masks)


if __name__ == "__main__":
    run_stage("worth", main, (str(OUTPUT),))
