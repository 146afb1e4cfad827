"""The style of the plots, and their source as SVG."""

import base64
import io
import warnings
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# A palette for colour-blind readers (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
FAINT = "#8a8f98"
# Folder names are not mathematical markup.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "glimpse",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "legend.frameon": False,
}


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Returns a figure with one panel, as wide as a phone can show."""
    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.add_subplot()


def svg_source(figure: Figure) -> str:
    """Returns a figure as a data URI: a document of its own, so that ids on a page do not collide."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # missing glyphs: the reader's fonts have them
        # Cut off the margin that square panels leave.
        figure.savefig(
            file, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None, "Creator": None}
        )
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
