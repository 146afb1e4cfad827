"""Draws scenes with Pillow."""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glimpse.export.drawings.outlines import outline_of
from glimpse.export.drawings.scenes import COLOURS, COUNTS, FONTS, SIZES, Rgb, Scene

# Pictures are drawn at twice their size and reduced, which smooths edges.
_OVERSAMPLING = 2


def render_scene(
    scene: Scene, rng: np.random.Generator, size: int = 80, palette: Mapping[str, Rgb] = COLOURS
) -> Image.Image:
    """Draws a scene.

    Args:
        scene: attributes that are not set are drawn at random.
        rng: decides everything that the scene leaves open.
        size: side of the picture in pixels.
        palette: the shade of each colour; it is jittered a little.

    Returns:
        An RGB picture of `size` x `size` pixels.
    """
    background = scene.background or _contrasting(scene, rng)
    picture = _paper(palette[background], rng, size * _OVERSAMPLING)
    if scene.kind == "glyph":
        _draw_glyph(picture, scene, rng, palette)
    elif scene.kind == "pair":
        _draw_pair(picture, scene, rng, palette)
    else:
        _draw_group(picture, scene, rng, palette)
    return picture.reduce(_OVERSAMPLING)


def _contrasting(scene: Scene, rng: np.random.Generator) -> str:
    return str(rng.choice([name for name in COLOURS if name not in (scene.colour, scene.second_colour)]))


def _jittered(colour: Rgb, rng: np.random.Generator, spread: float = 9) -> Rgb:
    r, g, b = np.clip(np.array(colour) + rng.normal(0, spread, 3), 0, 255).astype(int).tolist()
    return r, g, b


def _paper(colour: Rgb, rng: np.random.Generator, size: int) -> Image.Image:
    """Returns a background: plain, noisy or shaded."""
    base = np.array(_jittered(colour, rng), np.float32)
    kind = rng.random()
    if kind < 0.6:
        return Image.new("RGB", (size, size), tuple(base.astype(int).tolist()))
    small = rng.normal(0, 14, (8, 8, 1)) if kind < 0.8 else np.linspace(-22, 22, 8)[:, None, None] * np.ones((8, 8, 1))
    shade = np.clip(base + np.rot90(small, int(rng.integers(4))), 0, 255).astype(np.uint8)
    return Image.fromarray(shade).resize((size, size), Image.Resampling.BILINEAR)


def _draw_glyph(picture: Image.Image, scene: Scene, rng: np.random.Generator, palette: Mapping[str, Rgb]) -> None:
    file = rng.choice(FONTS[scene.font or str(rng.choice(list(FONTS)))])
    extent = picture.width
    font = _font(str(file), 4 * int(extent * rng.uniform(0.11, 0.21)))
    text = scene.glyph.upper() if rng.random() < 0.5 else scene.glyph
    mask = Image.new("L", picture.size)
    place = tuple(extent * (0.5 + rng.normal(0, 0.05, 2)))
    ImageDraw.Draw(mask).text(place, text, font=font, fill=255, anchor="mm")
    mask = mask.rotate(rng.normal(0, 6), Image.Resampling.BILINEAR)
    picture.paste(_jittered(palette[scene.colour], rng), (0, 0, *picture.size), mask)


@lru_cache
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    """Loads a font from the copy that matplotlib carries, so that every machine draws the same picture."""
    try:
        import matplotlib
    except ModuleNotFoundError:  # outside of the recipe's environment, the system's font will do
        return ImageFont.truetype(file, size)
    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{file}", size)


def _draw_pair(picture: Image.Image, scene: Scene, rng: np.random.Generator, palette: Mapping[str, Rgb]) -> None:
    along = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}[scene.relation]
    for sign, shape, colour in (
        (1, scene.shape, scene.colour),
        (-1, scene.second_shape, scene.second_colour),
    ):
        centre = 0.5 + sign * 0.24 * np.array(along) + rng.normal(0, 0.025, 2)
        _draw_shape(picture, shape, palette[colour], centre, rng.uniform(0.15, 0.21), "solid", rng)


def _draw_group(picture: Image.Image, scene: Scene, rng: np.random.Generator, palette: Mapping[str, Rgb]) -> None:
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
        _draw_shape(picture, scene.shape, palette[scene.colour], centre, radius, fill, rng)


def _draw_shape(
    picture: Image.Image,
    shape: str,
    colour: Rgb,
    centre: npt.NDArray[np.float64],
    radius: float,
    fill: str,
    rng: np.random.Generator,
) -> None:
    """Draws one shape; `centre` (x, y) and `radius` are fractions of the picture's side."""
    extent = picture.width
    turn = rng.normal(0, 0.12)
    c, s = math.cos(turn), math.sin(turn)
    outline = [
        ((centre[0] + radius * (c * x - s * y)) * extent, (centre[1] + radius * (s * x + c * y)) * extent)
        for x, y in outline_of(shape)
    ]
    ink = _jittered(colour, rng)
    width = max(3, int(extent * radius * 0.2))
    line = [*outline, *outline[:2]]
    if shape == "ring":
        ImageDraw.Draw(picture).line(line, fill=ink, width=int(width * 1.8), joint="curve")
    elif fill == "outlined":
        ImageDraw.Draw(picture).line(line, fill=ink, width=width, joint="curve")
    else:
        mask = _filled(picture.size, outline, width if fill == "striped" else 0)
        picture.paste(ink, (0, 0, *picture.size), mask)


def _filled(size: tuple[int, int], outline: list[tuple[float, float]], stripe: int) -> Image.Image:
    """Returns a mask of a filled outline, striped where `stripe`, the width in pixels, is not 0."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon(outline, fill=255)
    if not stripe:
        return mask
    extent, bars = size[0], Image.new("L", size)
    draw = ImageDraw.Draw(bars)
    for x in range(-extent, 2 * extent, stripe * 2):
        draw.line([(x, 0), (x + extent // 2, extent)], fill=255, width=stripe)
    return Image.composite(mask, Image.new("L", size), bars)
