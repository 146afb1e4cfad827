"""Pictures with captions: scenes in many shades, named symbols, and pictures that show no shape.

A sample has attributes, and its caption names some of them. It is therefore known for every caption and every picture
of a batch whether the caption is true of the picture, and no true caption counts as a wrong one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from recipes.mini.pictures import patterns, shades, symbols

from glimpse.export.drawings.captions import caption
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, Scene, random_scene

#: Other words for a word of the captions' grammar.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "circle": ("disc", "disk"), "circles": ("discs", "disks"), "square": ("box",), "squares": ("boxes",),
    "diamond": ("rhombus",), "crescent": ("moon",), "crescents": ("moons",), "oval": ("ellipse",),
    "ovals": ("ellipses",), "bolt": ("flash",), "bolts": ("flashes",), "drop": ("teardrop",), "drops": ("teardrops",),
    "solid": ("filled",), "outlined": ("hollow", "empty"), "small": ("little", "tiny"), "large": ("big", "huge"),
    "above": ("over",), "below": ("under",), "digit": ("number",), "letter": ("character",),
    "picture": ("image", "icon", "photo"), "drawing": ("sketch", "painting"), "background": ("page",),
    "0": ("zero",), "1": ("one",), "2": ("two",), "3": ("three",), "4": ("four",), "5": ("five",), "6": ("six",),
    "7": ("seven",), "8": ("eight",), "9": ("nine",),
}  # fmt: skip
#: A stand-in for words that the tokenizer does not know.
UNKNOWN_WORD = "zzz"
#: Words that unrelated sentences share with captions.
FUNCTION_WORDS = ("the", "a", "of", "in", "on", "is", "and", "to", "for", "with", "this", "that", "it", "no", "not")
FRAMES = ("an image of {}", "a symbol of {}", "this is {}", "there is {}", "{} here", "an icon : {}")
_PLURALS = frozenset({"scissors", "scales", "swords", "notes"})


@dataclass(frozen=True)
class Sample:
    """A picture with a caption.

    Attributes:
        pixels: uint8 (size, size, 3).
        text: the caption.
        has: the attributes of the picture.
        says: the attributes that the caption names; a subset of `has`.
    """

    pixels: npt.NDArray[np.uint8]
    text: str
    has: frozenset[str]
    says: frozenset[str]


def to_pixels(picture: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """Resizes a picture to a square, as the bundle's preprocessing does: uint8 (size, size, 3)."""
    return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def truth(samples: Sequence[Sample]) -> npt.NDArray[np.bool_]:
    """Returns whether caption j, by the attributes that it names, is true of picture i: bool (n, n)."""
    names = {name: i for i, name in enumerate(sorted(frozenset().union(*(s.has | s.says for s in samples))))}
    has, says = np.zeros((2, len(samples), len(names)), np.int64)
    for i, sample in enumerate(samples):
        has[i, [names[name] for name in sample.has]] = 1
        says[i, [names[name] for name in sample.says]] = 1
    return np.asarray(has @ says.T == says.sum(1))


def random_sample(rng: np.random.Generator, size: int) -> Sample:
    """Returns a random picture of `size` pixels on each side, with a caption."""
    kind = rng.random()
    if kind < 0.68:
        return _scene(rng, size)
    if kind < 0.84:
        return _symbol(rng, size)
    return _pattern(rng, size)


def _scene(rng: np.random.Generator, size: int) -> Sample:
    scene = random_scene(rng)
    text, named = caption(scene, rng)
    palette, shade = shades.random_palette(scene, rng)
    says = _attributes(named)
    if named.colour:
        text, shade_named = shades.rename_colour(text, scene.colour, shade, rng)
        says |= {f"shade={shade_named}"} if shade_named else set()
    pixels = to_pixels(render_scene(scene, rng, palette=palette), size)
    return Sample(pixels, _varied(text, rng), frozenset({*_attributes(scene), f"shade={shade}"}), frozenset(says))


def _attributes(scene: Scene) -> set[str]:
    return {f"kind={scene.kind}"} | {f"{name}={value}" for name, value in asdict(scene).items() if value}


def _symbol(rng: np.random.Generator, size: int) -> Sample:
    name = symbols.random_symbol(rng)
    colour, paper = (list(COLOURS)[i] for i in rng.permutation(len(COLOURS))[:2])
    if rng.random() < 0.4 and colour != "white":
        paper = "white"
    palette, shade = shades.random_palette(Scene(colour, background=paper), rng)
    pixels = symbols.render_symbol(name, palette[colour], palette[paper], rng, size)
    says = {"kind=symbol", f"symbol={name}"}
    text = name if name in _PLURALS else f"a {name}"
    if rng.random() < 0.5:
        text = shades.replace_word(text, name, f"{colour} {name}")
        text, shade_named = shades.rename_colour(text, colour, shade, rng)
        says |= {f"colour={colour}"} | ({f"shade={shade_named}"} if shade_named else set())
    elif rng.random() < 0.3:
        text = f"the {name} symbol"
    else:
        text = shades.replace_word(text, name, name)
    has = frozenset({"kind=symbol", f"symbol={name}", f"colour={colour}", f"shade={shade}"})
    return Sample(pixels, _varied(text, rng), has, frozenset(says))


def _pattern(rng: np.random.Generator, size: int) -> Sample:
    pixels, kind = patterns.random_pattern(rng)
    has = frozenset({"kind=pattern", f"pattern={kind}", "labels=none"})
    if rng.random() < 0.3:
        # Text that the model cannot read belongs to pictures without a label, not to the nearest shape.
        return Sample(_sized(pixels, size), _unreadable(rng), has, frozenset({"labels=none"}))
    choices = patterns.CAPTIONS[kind]
    text = _varied(choices[rng.integers(len(choices))], rng)
    return Sample(_sized(pixels, size), text, has, frozenset({"kind=pattern", f"pattern={kind}"}))


def _sized(pixels: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    return pixels if len(pixels) == size else to_pixels(Image.fromarray(pixels), size)


def _varied(text: str, rng: np.random.Generator) -> str:
    """Returns a caption with some words replaced by others of the same meaning, or with a word that means nothing."""
    if rng.random() < 0.4:
        for word in text.split():
            if (others := SYNONYMS.get(word)) and rng.random() < 0.5:
                text = shades.replace_word(text, word, others[rng.integers(len(others))])
    if rng.random() < 0.12:
        text = FRAMES[rng.integers(len(FRAMES))].format(text)
    if rng.random() < 0.08:
        words = text.split()
        words.insert(int(rng.integers(len(words))), UNKNOWN_WORD)
        text = " ".join(words)
    return text


def _unreadable(rng: np.random.Generator) -> str:
    """Returns a sentence of unknown words and of some that captions use too."""
    known = rng.uniform(0, 0.6)
    count = int(rng.integers(1, 12))
    words = [
        FUNCTION_WORDS[rng.integers(len(FUNCTION_WORDS))] if rng.random() < known else UNKNOWN_WORD
        for _ in range(count)
    ]
    return " ".join([*words, UNKNOWN_WORD])
