"""Draw photographs that no stage has seen, for `make predict-demo`: python tools/demo_photographs.py FOLDER"""

import io
import sys
from pathlib import Path

from PIL import Image

from defectdistill.data.sources.synthetic.source import samples

SEED = 1001  # the pipeline's is 0
EACH = 12


def write(folder: Path, each: int = EACH) -> int:
    """Write `each` pictures of each class, in folders of its name, and as many under other light; return how many.

    Every second one becomes a JPEG of another size, as photographs from several cameras would be.
    """
    number = 0
    for number, sample in enumerate(samples(Path(), SEED, 256, each, each, each, each), start=1):
        image = Image.open(io.BytesIO(sample.image_bytes()))
        path = folder / sample.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            image.save(path)
        else:
            image.resize((400, 400)).crop((20, 60, 380, 340)).save(path.with_suffix(".jpg"), quality=88)
    return number


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(f"{write(target)} drawn photographs in {target}")
