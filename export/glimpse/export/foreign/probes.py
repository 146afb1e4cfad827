"""Inputs whose ranks are known without any model: paraphrases, translations, views of scenes, captions."""

import functools
import io
import json
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance

from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, SHAPES, Scene, random_scene

_SIDE = 224
_SCENES = 40
_CAPTIONS = 48


@functools.cache
def _sentences() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files("glimpse.export.foreign") / "sentences.json").read_text("utf-8"))
    return content


def paraphrases() -> tuple[list[str], list[str]]:
    """Returns sentences, and the same sentences in other words."""
    pairs = _sentences()["paraphrases"]
    return [one for one, _ in pairs], [other for _, other in pairs]


def translations() -> dict[str, list[str]]:
    """Returns twelve sentences in each language, by ISO 639-1 codes; English is the first."""
    languages: dict[str, list[str]] = _sentences()["translations"]
    return languages


@functools.cache
def views() -> tuple[list[bytes], list[bytes]]:
    """Draws forty scenes, and returns each of them twice: as it is, and cropped, turned, lightened and compressed."""
    rng = np.random.default_rng(41)
    scenes = [render_scene(random_scene(rng), rng, _SIDE) for _ in range(_SCENES)]
    return [encoded(scene) for scene in scenes], [encoded(changed(scene, rng), 60) for scene in scenes]


def changed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Returns another view of a picture: turned by up to 10 degrees, cropped to 70 to 90 %, lighter or darker."""
    turned = picture.rotate(float(rng.uniform(-10, 10)), Image.Resampling.BICUBIC, fillcolor=picture.getpixel((2, 2)))
    part = float(rng.uniform(0.7, 0.9))
    width, height = (int(part * side) for side in picture.size)
    left, top = (
        int(rng.integers(0, side - kept + 1)) for side, kept in zip(picture.size, (width, height), strict=True)
    )
    cropped = turned.crop((left, top, left + width, top + height)).resize(picture.size, Image.Resampling.BICUBIC)
    return ImageEnhance.Brightness(cropped).enhance(float(rng.uniform(0.75, 1.25)))


@functools.cache
def captioned() -> tuple[list[bytes], list[str]]:
    """Draws 48 coloured shapes with different captions, such as "a red circle"."""
    rng = np.random.default_rng(43)
    every = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    pairs = [every[place] for place in rng.permutation(len(every))[:_CAPTIONS]]
    scenes = [Scene(colour, shape, fill="solid", size="large") for colour, shape in pairs]
    pictures = [encoded(render_scene(scene, rng, _SIDE)) for scene in scenes]
    return pictures, [f"a {colour} {shape}" for colour, shape in pairs]


def encoded(picture: Image.Image, quality: int = 95) -> bytes:
    """Encodes a picture as JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()
