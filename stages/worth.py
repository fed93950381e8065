"""Score every training over splits and seeds, and set the rows of rows.csv beside each other."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tqdm import tqdm

from defectdistill.data.packed import masked_in
from defectdistill.data.tables import read_json, read_table
from defectdistill.evaluation.worth import Measured, Place, ask_students, ask_teachers, paired, test_share
from defectdistill.evaluation.worth_table import write_worth
from defectdistill.params import load_params
from defectdistill.places import place
from defectdistill.stage import run_stage
from defectdistill.training.compute import set_up
from defectdistill.trainings import SPLIT, splits_of, trainings_of

TABLE, OUTPUT = Path("rows.csv"), Path("table")


def main() -> None:
    """Read the trainings, the teachers and the photographs of each split, write table/."""
    params, rows = load_params(place("--data") / "params.yaml"), read_table(TABLE)
    folders = {row["row"]: trainings_of(row["row"], SPLIT) for row in rows if row["kind"] == "student"}
    arms = splits_of(row["arm"] for row in rows)
    set_up(params.compute.threads, "cpu", "fp32")  # one machine's test scores must be another's
    seeds = sorted({int(folder.name.rsplit("-", 1)[1]) for of in folders.values() for folder in of})
    trained: dict[Place, Measured] = {}
    for row in tqdm(rows, unit=" rows", disable=None):
        name, splits = row["row"], arms[row["arm"]]
        trained |= ask_students(name, folders[name], splits) if name in folders else ask_teachers(name, splits, seeds)
    pairs = [(row["row"], reference) for row in rows for reference in row["against"].split()]
    prepared = [[split / "data/prepared" for split in splits.values()] for splits in arms.values()]
    masks = [[int(masked_in(split / "train", but="normal").sum()) for split in arm] for arm in prepared]
    summaries = [read_json(split / "summary.json") for split in prepared[0]]
    words = {row["row"]: row["words"] for row in rows}
    found = paired(trained, pairs, test_share(summaries))
    OUTPUT.mkdir(exist_ok=True)
    write_worth(OUTPUT, trained, found, words, summaries, masks)


if __name__ == "__main__":
    run_stage("worth", main, (str(OUTPUT),))
