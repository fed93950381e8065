"""Write the params.yaml of a variant: `variant.py FOLDER --base FILE CHOSEN…` (see variants.py)."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from defectdistill.params import PARAMS
from defectdistill.stage import run_stage
from defectdistill.variants import write_variant

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path, help="where the stages of the variant will run")
parser.add_argument("--base", type=Path, required=True, help="the params.yaml that is changed")
parser.add_argument("--changes", type=Path, default=Path(PARAMS), help="the file with the named changes")
parser.add_argument("chosen", nargs="+", help="names of mappings in that file, or KEY=VALUE")


if __name__ == "__main__":
    given = parser.parse_args()
    run_stage(
        f"variant-{given.folder.name}",
        lambda: write_variant(given.folder, given.base, given.changes, given.chosen),
        (str(given.folder / PARAMS),),
    )
