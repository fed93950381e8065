"""One quiet, colour-blind-safe look for every figure, and PNG files whose bytes depend on the data alone.

Colours: Okabe and Ito 2008. Matplotlib's object interface only: no pyplot, no window system.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, QUIET, GRID = "#222222", "#666666", "#dddddd"
MODEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
CLASS_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
CLASS_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
REMARK_SIZE, REMARK_CHARACTERS = 8, 15  # points, and characters an inch of that size
WIDTH = 6.6  # inches, of every figure, so that text has one size throughout; wider is illegible on a phone

_REMARK = ContextVar("remark", default="")

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs on every machine
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a class name may hold a dollar sign
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "savefig.dpi": 180,
}


@contextmanager
def remarked(remark: str) -> Iterator[None]:
    """Write a remark below every figure that is drawn in the block, such as where its data come from."""
    token = _REMARK.set(remark)
    try:
        yield
    finally:
        _REMARK.reset(token)


@contextmanager
def drawing(path: Path, height: float, width: float = WIDTH) -> Iterator[Figure]:
    """Give an empty figure in the house style, `width` × `height` inches, and save it to `path` as PNG at the end.

    The user's own matplotlib settings have no influence; the text of `remarked` stands below. The folder must exist.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        if remark := _REMARK.get():
            lines = textwrap.fill(remark, int(width * REMARK_CHARACTERS))
            figure.supxlabel(lines, x=0.995, ha="right", fontsize=REMARK_SIZE, color=QUIET)
        figure.savefig(path, format="png", metadata={"Software": None})  # no version of matplotlib in the file


def readable(name: str, width: int | None = None) -> str:
    """Return a class or column name as words: underscores as spaces, broken into lines of `width` letters if given."""
    words = name.replace("_", " ").strip()
    return words if width is None else "\n".join(textwrap.wrap(words, width)) or words


def heading(name: str) -> str:
    """Return a model's or column's name as words that begin with a capital; the other letters stay as they are."""
    words = readable(name)
    return words[:1].upper() + words[1:]


def class_line(index: int) -> dict:
    """Return colour and dash pattern of the class with this index as keywords for `Axes.plot`; 24 are different."""
    rounds, colour = divmod(index, len(CLASS_COLOURS))
    # Shifted by one each round, so that neighbours in the legend differ in the dash too.
    return {
        "color": CLASS_COLOURS[colour],
        "linestyle": CLASS_DASHES[(rounds + colour) % len(CLASS_DASHES)],
    }


def horizontal_rows(axes: Axes, labels: list[str]) -> None:
    """Write the labels of a chart that has one row per class, the first on top, with a line above the last row."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.axhline(len(labels) - 1.5, color=QUIET, linewidth=0.8)
