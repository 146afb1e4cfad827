"""Pictograms with captions: shapes, colours, counts, sizes, fills, backgrounds, two-shape scenes, letters and digits.

A scene is a row of attributes; a caption names some of them. So for any caption and any scene it is known whether the
caption is true of it, and training need not take two pictures of a red circle for different things.

Some pairs of colour and shape (`HELD_OUT_PAIRS`) are never drawn nor named in training: accuracy on them shows
that the two were learned apart.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

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
    """What a picture shows. A glyph scene has `glyph` and `font`; a pair has `second` and `relation`."""

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
        """`glyph`, `pair` or `single`."""
        return "glyph" if self.glyph else "pair" if self.relation else "single"


def held_out(scene: Scene) -> bool:
    """Whether a scene shows a pair kept from training."""
    pairs = {(scene.colour, scene.shape), (scene.second_colour, scene.second_shape)}
    return bool(pairs & HELD_OUT_PAIRS)


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene for training: never a held-out pair."""
    while held_out(scene := _any_scene(rng)):
        pass
    return scene


def _any_scene(rng: np.random.Generator) -> Scene:
    colours = list(COLOURS)
    colour, other, background = (colours[i] for i in rng.permutation(len(colours))[:3])
    if rng.random() < 0.3 and "white" not in (colour, other):
        background = "white"  # what people draw on
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


def caption(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    """A caption, and the scene's attributes it names (the others empty)."""
    if scene.kind == "glyph":
        return _glyph_caption(scene, rng)
    if scene.kind == "pair":
        first, second = f"{scene.colour} {scene.shape}", f"{scene.second_colour} {scene.second_shape}"
        text = f"{_article(first)} {scene.relation} {_article(second)}"
        return _framed(text, rng), replace(scene, background="", count="one")
    named = replace(
        scene,
        size=scene.size if rng.random() < 0.3 else "",
        fill=scene.fill if rng.random() < 0.35 else "",
        background=scene.background if rng.random() < 0.25 else "",
        colour=scene.colour if rng.random() < 0.9 else "",
    )
    words = " ".join(word for word in (named.size, named.fill, named.colour, scene.shape) if word)
    if scene.count != "one":
        text = f"{scene.count} {words}{'es' if words.endswith(('s', 'x')) else 's'}"
    else:
        text = _article(words) if rng.random() < 0.75 else words
    if named.background:
        text += f" on {_article(named.background)} background"
    return _framed(text, rng), named


def _glyph_caption(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    named = replace(
        scene,
        colour=scene.colour if rng.random() < 0.35 else "",
        font=scene.font if rng.random() < 0.15 else "",
        background=scene.background if rng.random() < 0.1 else "",
    )
    what = "digit" if scene.glyph.isdigit() else "letter"
    colour = f"{named.colour} " if named.colour else ""
    text = f"the {colour}{what} {scene.glyph}" if rng.random() < 0.8 or named.colour else scene.glyph
    if named.font:
        text += f" in {named.font}"
    if named.background:
        text += f" on {_article(named.background)} background"
    return _framed(text, rng), named


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _framed(text: str, rng: np.random.Generator) -> str:
    frame = rng.choice(["{}", "a picture of {}", "a drawing of {}", "{} ."], p=[0.7, 0.14, 0.1, 0.06])
    return str(frame).format(text)


def render_scene(scene: Scene, rng: np.random.Generator, size: int = 80) -> Image.Image:
    """Draws a scene: RGB, size x size. Unnamed attributes are drawn at random."""
    background = scene.background or _contrasting(scene, rng)
    picture = _paper(COLOURS[background], rng, size * 2)
    if scene.kind == "glyph":
        _draw_glyph(picture, scene, rng)
    elif scene.kind == "pair":
        _draw_pair(picture, scene, rng)
    else:
        _draw_group(picture, scene, rng, background)
    return picture.reduce(2)


def _contrasting(scene: Scene, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name in COLOURS if name not in (scene.colour, scene.second_colour)]))


def _jittered(colour: Rgb, rng: np.random.Generator, spread: float = 9) -> Rgb:
    r, g, b = np.clip(np.array(colour) + rng.normal(0, spread, 3), 0, 255).astype(int).tolist()
    return r, g, b


def _paper(colour: Rgb, rng: np.random.Generator, size: int) -> Image.Image:
    """A background: even, shaded or noisy."""
    base = np.array(_jittered(colour, rng), np.float32)
    kind = rng.random()
    if kind < 0.6:
        return Image.new("RGB", (size, size), tuple(base.astype(int).tolist()))
    small = rng.normal(0, 14, (8, 8, 1)) if kind < 0.8 else np.linspace(-22, 22, 8)[:, None, None] * np.ones((8, 8, 1))
    shade = np.clip(base + np.rot90(small, int(rng.integers(4))), 0, 255).astype(np.uint8)
    return Image.fromarray(shade).resize((size, size), Image.Resampling.BILINEAR)


def _draw_glyph(picture: Image.Image, scene: Scene, rng: np.random.Generator) -> None:
    file = rng.choice(FONTS[scene.font or str(rng.choice(list(FONTS)))])
    extent = picture.width
    font = _font(str(file), 4 * int(extent * rng.uniform(0.11, 0.21)))
    text = scene.glyph.upper() if rng.random() < 0.5 else scene.glyph
    mask = Image.new("L", picture.size)
    place = tuple(extent * (0.5 + rng.normal(0, 0.05, 2)))
    ImageDraw.Draw(mask).text(place, text, font=font, fill=255, anchor="mm")
    mask = mask.rotate(rng.normal(0, 6), Image.Resampling.BILINEAR)
    picture.paste(_jittered(COLOURS[scene.colour], rng), (0, 0, *picture.size), mask)


@lru_cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    """A font from matplotlib's own copy, so that the recipe draws the same on every machine."""
    try:
        import matplotlib
    except ModuleNotFoundError:  # drawing without the recipe's environment: whatever the system has
        return ImageFont.truetype(file, size)
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{file}", size)


def _draw_pair(picture: Image.Image, scene: Scene, rng: np.random.Generator) -> None:
    along = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}[scene.relation]
    for sign, shape, colour in (
        (1, scene.shape, scene.colour),
        (-1, scene.second_shape, scene.second_colour),
    ):
        centre = 0.5 + sign * 0.24 * np.array(along) + rng.normal(0, 0.025, 2)
        _draw_shape(picture, shape, COLOURS[colour], centre, rng.uniform(0.15, 0.21), "solid", rng)


def _draw_group(picture: Image.Image, scene: Scene, rng: np.random.Generator, background: str) -> None:
    count = COUNTS.index(scene.count) + 1
    size = scene.size or str(rng.choice(SIZES))
    cells = 1 if count == 1 else 2 if count <= 4 else 3
    room = 0.46 / cells
    radius = room * (rng.uniform(0.38, 0.52) if size == "small" else rng.uniform(0.72, 0.92))
    places = rng.permutation(cells * cells)[:count]
    for place in places:
        cell = np.array([place % cells, place // cells])
        slack = max(0.5 / cells - radius, 0.0)
        centre = (cell + 0.5) / cells + np.clip(rng.normal(0, 0.4, 2), -1, 1) * slack * 0.7
        fill = scene.fill or "solid"
        _draw_shape(picture, scene.shape, COLOURS[scene.colour], centre, radius, fill, rng)


def _draw_shape(
    picture: Image.Image,
    shape: str,
    colour: Rgb,
    centre: npt.NDArray[np.float64],
    radius: float,
    fill: str,
    rng: np.random.Generator,
) -> None:
    """One shape about a centre; centre and radius as shares of the picture."""
    extent = picture.width
    turn = rng.normal(0, 0.12)
    c, s = math.cos(turn), math.sin(turn)
    outline = [
        ((centre[0] + radius * (c * x - s * y)) * extent, (centre[1] + radius * (s * x + c * y)) * extent)
        for x, y in outline_of(shape)
    ]
    ink = _jittered(colour, rng)
    width = max(3, int(extent * radius * 0.2))
    if shape == "ring":
        ImageDraw.Draw(picture).line([*outline, *outline[:2]], fill=ink, width=int(width * 1.8), joint="curve")
    elif fill == "outlined":
        ImageDraw.Draw(picture).line([*outline, *outline[:2]], fill=ink, width=width, joint="curve")
    else:
        mask = Image.new("L", picture.size)
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        if fill == "striped":
            bars = Image.new("L", picture.size)
            draw = ImageDraw.Draw(bars)
            for x in range(-extent, 2 * extent, width * 2):
                draw.line([(x, 0), (x + extent // 2, extent)], fill=255, width=width)
            mask = Image.composite(mask, Image.new("L", picture.size), bars)
        picture.paste(ink, (0, 0, *picture.size), mask)


def outline_of(shape: str) -> list[tuple[float, float]]:
    """A shape's outline within [-1, 1]; y grows downwards."""
    full = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    if shape in ("circle", "ring"):
        k = 0.8 if shape == "ring" else 0.95
        return [(k * math.cos(a), k * math.sin(a)) for a in full]
    if shape == "oval":
        return [(math.cos(a), 0.55 * math.sin(a)) for a in full]
    if shape == "heart":
        return [
            (
                math.sin(a) ** 3,
                -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16,
            )
            for a in full
        ]
    if shape == "crescent":
        outer = np.linspace(0.25 * math.pi, 1.75 * math.pi, 30)
        return [(math.cos(a), math.sin(a)) for a in outer] + [
            (0.35 + 0.75 * math.cos(a), 0.75 * math.sin(a)) for a in np.linspace(1.65 * math.pi, 0.35 * math.pi, 24)
        ]
    if shape == "drop":
        return [(0.0, -1.0)] + [
            (0.68 * math.cos(a), 0.3 + 0.68 * math.sin(a)) for a in np.linspace(-0.15 * math.pi, 1.15 * math.pi, 30)
        ]
    if shape == "star":
        return [
            (
                math.sin(i * math.pi / 5) * (1 if i % 2 == 0 else 0.42),
                -math.cos(i * math.pi / 5) * (1 if i % 2 == 0 else 0.42),
            )
            for i in range(10)
        ]
    if shape in _REGULAR:
        sides, start = _REGULAR[shape]
        return [
            (math.sin(start + 2 * math.pi * i / sides), -math.cos(start + 2 * math.pi * i / sides))
            for i in range(sides)
        ]
    return _POLYGONS[shape]


_REGULAR = {"triangle": (3, 0.0), "pentagon": (5, 0.0), "hexagon": (6, math.pi / 6)}
_POLYGONS: dict[str, list[tuple[float, float]]] = {
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "rectangle": [(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)],
    "diamond": [(0, -1), (0.68, 0), (0, 1), (-0.68, 0)],
    "cross": [
        (-0.32, -0.95), (0.32, -0.95), (0.32, -0.32), (0.95, -0.32), (0.95, 0.32), (0.32, 0.32),
        (0.32, 0.95), (-0.32, 0.95), (-0.32, 0.32), (-0.95, 0.32), (-0.95, -0.32), (-0.32, -0.32),
    ],
    "arrow": [(-1, -0.28), (0.15, -0.28), (0.15, -0.8), (1, 0), (0.15, 0.8), (0.15, 0.28), (-1, 0.28)],
    "bolt": [(0.2, -1), (-0.65, 0.2), (-0.08, 0.2), (-0.3, 1), (0.65, -0.25), (0.05, -0.25)],
}  # fmt: skip
