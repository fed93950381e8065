"""One self-contained page of predicted photographs: each beside what the model looked at, the uncertain ones first.

Pictures and styles are inside the file; it needs no network and no script. The map is that of the class that was
predicted, laid over the photograph in its own shape.
"""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from defectdistill.assess import Assessor
from defectdistill.data.images import BadImage
from defectdistill.data.preprocess import content_box, scale
from defectdistill.data.sample import Rejected
from defectdistill.evaluation.activation_sheet import painted
from defectdistill.evaluation.class_activation import activation_maps, enlarged
from defectdistill.evaluation.plot_style import readable
from defectdistill.evaluation.report_words import per_cent
from defectdistill.files import writing
from defectdistill.predict import Predictor
from defectdistill.prediction.read import read_photograph
from defectdistill.prediction.survey import Survey
from defectdistill.prediction.tables import Record

THUMBNAIL = 240  # pixels of the longer side
QUALITY = 82  # of JPEG
TOGETHER = 16  # photographs whose maps are computed at once
MOST_REJECTED = 50  # lines
MOST_OTHERS = 2  # further classes beside the predicted one


def write_page(
    path: Path, assessor: Assessor, max_pixels: int, found: Survey, bad: int, rejected: Iterable[Rejected]
) -> None:
    """Write the page of what `found` chose; photographs are read once more for it, `rejected` no further than shown.

    Every text that comes from names of files or classes is escaped. A photograph that is gone by now is shown as that.
    """
    # Each section's pictures are made while the page is written: a page of any length takes the memory of a few.
    sections = [(name, _cards(assessor.predictor, rows, max_pixels), len(rows), total) for name, rows, total in (
        ("uncertain", found.uncertain, found.doubtful), ("certain", found.certain, found.images - found.doubtful),
    )]  # fmt: skip
    environment = Environment(
        loader=PackageLoader("defectdistill", "prediction"),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"readable": readable, "percent": partial(per_cent, digits=1)}
    page = environment.get_template("sheet.html").stream(
        found=found,
        sections=sections,
        threshold=assessor.threshold,
        is_calibrated=assessor.predictor.temperature != 1,
        has_maps=bool(assessor.predictor.student.taps()),
        bad=bad,
        rejected=list(islice(rejected, MOST_REJECTED)),
    )
    with writing(path), path.open("w", encoding="utf-8") as file:
        page.dump(file)


def _cards(predictor: Predictor, rows: Sequence[Record], max_pixels: int) -> Iterator[dict[str, object]]:
    """Yield what the page shows of each row: words, and the pictures as addresses that hold them."""
    for start in range(0, len(rows), TOGETHER):
        part = rows[start : start + TOGETHER]
        photographs = [_read(Path(str(row["path"])), max_pixels) for row in part]
        prepared = [predictor.preprocess(image) for image in photographs if image is not None]
        classes = [predictor.classes.index(row["class"]) for row, image in zip(part, photographs, strict=True)
                   if image is not None]  # fmt: skip
        maps = activation_maps(predictor, np.stack(prepared), np.array(classes)) if prepared else None
        wide = iter([None] * len(prepared) if maps is None else enlarged(maps, predictor.size))
        for row, image in zip(part, photographs, strict=True):
            pictures = (None, None) if image is None else _pictures(image, next(wide), predictor)
            probs = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])
            others = [pair for pair in probs if pair[0] != row["class"]][:MOST_OTHERS]
            yield {**row, "others": others, "photograph": pictures[0], "heat": pictures[1]}


def _read(path: Path, max_pixels: int) -> np.ndarray | None:
    try:
        return read_photograph(path, max_pixels)
    except BadImage:
        return None


def _pictures(image: np.ndarray, wide: np.ndarray | None, predictor: Predictor) -> tuple[str, str | None]:
    """Return the small photograph, and it under the map float32 (S, S) of what the model saw, None without one."""
    height, width = image.shape[:2]
    factor = THUMBNAIL / max(height, width)
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    small = scale(image, rows, columns)
    if wide is None:
        return _address(small), None
    seen = wide[content_box(height, width, predictor.size, predictor.resize_mode)]
    fitted = cv2.resize(np.ascontiguousarray(seen), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return _address(small), _address(painted(small[None], fitted[None])[0])


def _address(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
