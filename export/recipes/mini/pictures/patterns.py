"""Pictures that show no shape: blank pages, noise, gradients, hatching, textures, clutter; each with a caption.

They teach the model that not every picture shows one of the labels that a caller asks for.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from glimpse.export.drawings.outlines import outline_of
from glimpse.export.drawings.scenes import SHAPES

Pixels = npt.NDArray[np.float64]
_SIZE = 64
_PLACES = np.stack(np.meshgrid(np.linspace(-1, 1, _SIZE), np.linspace(-1, 1, _SIZE)), -1)  # (64, 64, 2)

#: Captions of each kind of pattern.
CAPTIONS: dict[str, tuple[str, ...]] = {
    "blank": ("a blank page", "an empty page", "nothing", "a plain background", "an empty picture"),
    "noise": ("noise", "random noise", "static", "random pixels"),
    "gradient": ("a gradient", "a smooth gradient", "a shaded background"),
    "hatching": ("hatching", "hatched lines", "parallel lines", "many lines"),
    "crosshatch": ("cross hatching", "a grid of lines", "a mesh", "crossed lines"),
    "checks": ("a checkerboard", "a checkered pattern", "checks"),
    "dots": ("many dots", "a dotted pattern", "polka dots", "a pattern of dots"),
    "waves": ("waves", "wavy lines", "a wavy pattern", "ripples"),
    "texture": ("a texture", "a rough texture", "clouds", "a marbled texture", "a surface"),
    "clutter": ("clutter", "a cluttered scene", "a collage", "many things", "a crowded scene"),
    "scribble": ("a scribble", "scribbles", "a tangle of lines", "doodles"),
    "writing": ("a page of writing", "lines of text", "a text", "handwriting"),
}


def random_pattern(rng: np.random.Generator) -> tuple[npt.NDArray[np.uint8], str]:
    """Returns a picture, uint8 (64, 64, 3), and the kind of its pattern, a key of CAPTIONS."""
    kind = list(CAPTIONS)[rng.integers(len(CAPTIONS))]
    if kind == "clutter":
        return _clutter(rng), kind
    if kind == "noise":
        pixels = _noise(rng)
    else:
        ink, paper = _two_colours(rng)
        amount = _AMOUNTS[kind](rng)[..., None]  # how much ink lies on each pixel, in [0, 1]
        pixels = paper + (ink - paper) * amount
    if rng.random() < 0.2:
        pixels = pixels + rng.normal(0, rng.uniform(2, 14), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), kind


def _two_colours(rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    if rng.random() < 0.35:
        return np.zeros(3), np.full(3, 255.0)
    while True:
        ink, paper = rng.uniform(0, 255, (2, 3))
        if np.linalg.norm(ink - paper) > 60:
            return ink, paper


def _blank(rng: np.random.Generator) -> Pixels:
    return np.full((_SIZE, _SIZE), float(rng.random() < 0.2))


def _noise(rng: np.random.Generator) -> Pixels:
    grain = int(rng.choice([64, 64, 32, 16]))
    channels = int(rng.choice([1, 3]))
    if rng.random() < 0.5:
        small = rng.uniform(0, 255, (grain, grain, channels))
    else:
        small = rng.uniform(60, 190, channels) + rng.normal(0, rng.uniform(25, 90), (grain, grain, channels))
    return np.repeat(np.repeat(small, _SIZE // grain, 0), _SIZE // grain, 1) * np.ones(3)


def _along(rng: np.random.Generator) -> Pixels:
    """Returns the place of each pixel along a random direction, bent a little: (64, 64)."""
    angle = rng.choice([0, 0.25, 0.5, 0.75, rng.random()]) * np.pi
    bent = rng.normal(0, 0.04) * np.sin(_PLACES @ rng.normal(0, 3, 2))
    return np.asarray(_PLACES @ np.array([np.cos(angle), np.sin(angle)]) + bent)


def _gradient(rng: np.random.Generator) -> Pixels:
    place = _along(rng) if rng.random() < 0.7 else np.hypot(*np.moveaxis(_PLACES - rng.uniform(-0.5, 0.5, 2), -1, 0))
    return np.asarray((place - place.min()) / np.ptp(place))


def _lines(rng: np.random.Generator) -> Pixels:
    """Returns parallel lines with soft edges."""
    phase = _along(rng) * rng.uniform(2.5, 11) + rng.random()
    return np.asarray(np.clip((rng.uniform(0.12, 0.5) - np.abs(phase % 1 - 0.5)) * 8, 0, 1))


def _crosshatch(rng: np.random.Generator) -> Pixels:
    return np.maximum(_lines(rng), _lines(rng))


def _checks(rng: np.random.Generator) -> Pixels:
    angle, count = rng.choice([0.0, 0.25 * np.pi, rng.normal(0, 0.1)]), rng.uniform(2, 8)
    turned = _PLACES @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(np.floor(turned * count).sum(2) % 2)


def _dots(rng: np.random.Generator) -> Pixels:
    count, shift = rng.uniform(2.5, 8), rng.random(2)
    place = (_PLACES * count + shift) % 1 - 0.5
    return np.asarray(np.clip((rng.uniform(0.15, 0.38) - np.hypot(place[..., 0], place[..., 1])) * 8, 0, 1))


def _waves(rng: np.random.Generator) -> Pixels:
    x, y = np.moveaxis(_PLACES @ np.linalg.qr(rng.normal(size=(2, 2)))[0], -1, 0)
    if rng.random() < 0.4:
        phase = np.hypot(x - rng.uniform(-1, 1), y - rng.uniform(-1, 1)) * rng.uniform(2, 8)
    else:
        phase = (x + rng.uniform(0.08, 0.3) * np.sin(y * rng.uniform(3, 12))) * rng.uniform(2, 8)
    return np.asarray(0.5 + 0.5 * np.sin(2 * np.pi * phase))


def _texture(rng: np.random.Generator) -> Pixels:
    """Returns noise of several scales, each of half the strength per octave: clouds, stone, wood."""
    total, persistence = np.zeros((_SIZE, _SIZE)), rng.uniform(0.4, 0.95)
    stretch = rng.choice([1, 1, 2, 4])
    for octave in range(1, 7):
        rows, columns = 2**octave, max(2, 2**octave // stretch)
        small = Image.fromarray(rng.normal(size=(rows, columns)).astype(np.float32))
        total += persistence**octave * np.asarray(small.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC))
    total = np.rot90(total, int(rng.integers(2)))
    return np.asarray(np.clip(0.5 + total / (4 * total.std()), 0, 1))


def _clutter(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Returns overlapping patches of many sizes and colours ("dead leaves"), whose statistics are like photographs'."""
    picture = Image.new("RGB", (_SIZE, _SIZE), _rgb(rng.uniform(0, 255, 3)))
    pen, base = ImageDraw.Draw(picture), rng.uniform(40, 215, 3)
    for _ in range(int(rng.integers(15, 90))):
        radius = _SIZE * 0.04 / rng.uniform(0.08, 1)
        outline = np.array(outline_of(SHAPES[rng.integers(len(SHAPES))])) if rng.random() < 0.4 else _blob(rng)
        points = outline * radius * rng.uniform(0.5, 1.2, 2) + rng.uniform(-5, _SIZE + 5, 2)
        pen.polygon(points.ravel().tolist(), fill=_rgb(base + rng.normal(0, 60, 3)))
    pixels = np.asarray(picture, np.float64)
    shade = 1 + rng.uniform(0, 0.5) * (_texture(rng)[..., None] - 0.5)
    return np.clip(pixels * shade, 0, 255).astype(np.uint8)


def _blob(rng: np.random.Generator) -> Pixels:
    angles = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    return rng.uniform(0.5, 1.2, 9)[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)


def _scribble(rng: np.random.Generator) -> Pixels:
    picture = Image.new("L", (_SIZE, _SIZE))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(1, 4))):
        steps = rng.normal(0, 9, (int(rng.integers(25, 80)), 2))
        path = np.cumsum(steps, 0)
        path = (path - path.min(0)) / np.ptp(path, axis=0).max() * rng.uniform(40, 62) + rng.uniform(0, 4, 2)
        pen.line(path.ravel().tolist(), fill=255, width=int(rng.integers(1, 3)), joint="curve")
    return np.asarray(picture, np.float64) / 255


def _writing(rng: np.random.Generator) -> Pixels:
    """Returns rows of small marks with gaps between words."""
    picture = Image.new("L", (_SIZE, _SIZE))
    pen, height = ImageDraw.Draw(picture), float(rng.uniform(3, 9))
    for y in np.arange(rng.uniform(2, 6), _SIZE - height, height * rng.uniform(1.4, 2.2)):
        x = rng.uniform(2, 8)
        while x < _SIZE - 4:
            width = height * rng.uniform(0.3, 0.8)
            if rng.random() > 0.18:
                marks = rng.uniform([x, y], [x + width, y + height], (int(rng.integers(2, 5)), 2))
                pen.line(marks.ravel().tolist(), fill=255, width=1)
            x += width + 1.5
    return np.asarray(picture, np.float64) / 255


def _rgb(values: Pixels) -> tuple[int, int, int]:
    r, g, b = np.clip(values, 0, 255).astype(int).tolist()
    return r, g, b


_AMOUNTS: dict[str, Callable[[np.random.Generator], Pixels]] = {
    "blank": _blank,
    "gradient": _gradient,
    "hatching": _lines,
    "crosshatch": _crosshatch,
    "checks": _checks,
    "dots": _dots,
    "waves": _waves,
    "texture": _texture,
    "scribble": _scribble,
    "writing": _writing,
}
