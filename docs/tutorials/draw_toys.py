"""Draws the pictures of the tutorial on attributes: `python docs/tutorials/draw_toys.py FOLDER`.

A toy has a colour, a shape and a fill. Three pairs of a colour and a shape are never in `enroll`: they are asked about.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np

from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import Scene

COLOURS, SHAPES, FILLS = ("red", "yellow", "blue"), ("circle", "star", "heart"), ("solid", "striped")
NEVER_SEEN = {("red", "heart"), ("yellow", "star"), ("blue", "circle")}


def main(folder: Path) -> None:
    """Writes pictures to FOLDER/enroll/ATTRIBUTE, once for each attribute, and those to ask about to FOLDER/ask."""
    random = np.random.default_rng(5)
    for number, (colour, shape, fill) in enumerate(product(COLOURS, SHAPES, FILLS), start=1):
        picture = render_scene(Scene(colour, shape, fill=fill), random)
        if (colour, shape) in NEVER_SEEN:
            paths = [folder / "ask" / f"{fill}-{colour}-{shape}.png"]
        else:
            paths = [folder / "enroll" / attribute / f"{number}.png" for attribute in (colour, shape, fill)]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
