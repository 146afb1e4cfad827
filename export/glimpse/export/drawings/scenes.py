"""Pictograms: shapes, colours, counts, sizes, fills, backgrounds, scenes of two shapes, letters and digits.

A scene is a row of attributes, and a caption names some of them. It is therefore known for every caption and every
scene whether the caption is true of the scene, and training need not treat two pictures of a red circle as different
things.

Some pairs of colour and shape (`HELD_OUT_PAIRS`) are never drawn nor named in training. Accuracy on these pairs shows
that the model learned colour and shape independently.
"""

from dataclasses import dataclass

import numpy as np

Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "red": (220, 30, 30),
    "orange": (250, 140, 15),
    "yellow": (245, 225, 30),
    "green": (35, 160, 60),
    "cyan": (30, 210, 220),
    "blue": (35, 70, 220),
    "purple": (135, 45, 180),
    "pink": (250, 130, 190),
    "brown": (125, 75, 35),
    "black": (15, 15, 15),
    "white": (248, 248, 248),
    "gray": (135, 135, 135),
}
SHAPES = (
    "circle", "square", "triangle", "star", "heart", "cross", "ring", "diamond", "pentagon", "hexagon",
    "arrow", "crescent", "oval", "rectangle", "drop", "bolt",
)  # fmt: skip
FILLS = ("solid", "outlined", "striped")
SIZES = ("small", "large")
COUNTS = ("one", "two", "three", "four", "five")
RELATIONS = ("above", "below", "left of", "right of")
GLYPHS = tuple("abcdefghijklmnopqrstuvwxyz0123456789")
FONTS = {
    "sans": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "serif": ("DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "STIXGeneral.ttf", "cmr10.ttf"),
    "mono": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "cmtt10.ttf"),
}

#: Never drawn together nor named together in training: 24 pairs, every colour twice, no shape more than twice.
HELD_OUT_PAIRS = frozenset(
    (colour, SHAPES[(step * 7 + offset) % len(SHAPES)]) for step, colour in enumerate(COLOURS) for offset in (0, 8)
)


@dataclass(frozen=True)
class Scene:
    """The attributes of one picture; "" means that an attribute is not set.

    A scene of kind `glyph` has `glyph` and `font`; one of kind `pair` has `relation`, `second_colour` and
    `second_shape`.
    """

    colour: str
    shape: str = ""
    count: str = "one"
    size: str = ""
    fill: str = ""
    background: str = ""
    glyph: str = ""
    font: str = ""
    relation: str = ""
    second_colour: str = ""
    second_shape: str = ""

    @property
    def kind(self) -> str:
        """The kind of the scene: `glyph`, `pair` or `single`."""
        return "glyph" if self.glyph else "pair" if self.relation else "single"


def held_out(scene: Scene) -> bool:
    """Returns whether a scene shows a pair that is kept out of training."""
    pairs = {(scene.colour, scene.shape), (scene.second_colour, scene.second_shape)}
    return bool(pairs & HELD_OUT_PAIRS)


def random_scene(rng: np.random.Generator) -> Scene:
    """Returns a random scene for training, which never shows a held-out pair."""
    while held_out(scene := _any_scene(rng)):
        pass
    return scene


def _any_scene(rng: np.random.Generator) -> Scene:
    colours = list(COLOURS)
    colour, other, background = (colours[i] for i in rng.permutation(len(colours))[:3])
    if rng.random() < 0.3 and "white" not in (colour, other):
        background = "white"  # the usual paper
    kind = rng.random()
    if kind < 0.30:
        return Scene(
            colour,
            glyph=GLYPHS[rng.integers(len(GLYPHS))],
            font=list(FONTS)[rng.integers(len(FONTS))],
            background=background,
        )
    shape = SHAPES[rng.integers(len(SHAPES))]
    if kind < 0.45:
        return Scene(
            colour,
            shape,
            background=background,
            relation=RELATIONS[rng.integers(len(RELATIONS))],
            second_colour=other,
            second_shape=SHAPES[rng.integers(len(SHAPES))],
        )
    return Scene(
        colour,
        shape,
        count=COUNTS[rng.choice(5, p=[0.5, 0.14, 0.13, 0.12, 0.11])],
        size=SIZES[rng.integers(2)],
        fill=FILLS[rng.choice(3, p=[0.6, 0.22, 0.18])],
        background=background,
    )
