"""Measures the bundle's text and image encoders together: colours, shapes, shades, and pictures without a shape."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from recipes.mini.pictures.patterns import CAPTIONS, random_pattern

from glimpse.backbone import Encoder, Tokenizer, decode_image
from glimpse.backbone.background import embed_texts
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, HELD_OUT_PAIRS, SHAPES, Rgb, Scene

Vectors = npt.NDArray[np.float32]
_WAYS = 20
#: HTML's names of colours, by the colour that a person would call them.
HTML_COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("darkred", "firebrick", "crimson"),
    "orange": ("darkorange", "orange"),
    "yellow": ("yellow",),
    "green": ("darkgreen", "green", "forestgreen", "seagreen", "limegreen", "lightgreen"),
    "cyan": ("darkcyan", "teal", "darkturquoise", "cyan"),
    "blue": ("navy", "darkblue", "mediumblue", "royalblue", "dodgerblue", "skyblue"),
    "purple": ("indigo", "rebeccapurple", "darkviolet", "purple", "mediumpurple"),
    "pink": ("hotpink", "lightpink", "pink"),
    "brown": ("saddlebrown", "sienna", "brown"),
    "black": ("black",),
    "white": ("white",),
    "gray": ("dimgray", "gray", "darkgray", "silver"),
}


def embed(encoder: Encoder, pictures: Sequence[Image.Image | bytes]) -> Vectors:
    """Embeds pictures as a server does, through the bundle's preprocessing: (n, d)."""
    rule = encoder.manifest.image
    assert rule is not None  # noqa: S101 (the mini reads images)
    pixels = [decode_image(png(picture) if isinstance(picture, Image.Image) else picture, rule) for picture in pictures]
    return np.concatenate([encoder.encode_images(np.stack(pixels[i : i + 64])) for i in range(0, len(pixels), 64)])


def png(picture: Image.Image) -> bytes:
    """Encodes a picture as PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def zero_shot_accuracy(encoder: Encoder, tokenizer: Tokenizer, each: int = 25, rounds: int = 5) -> float:
    """Returns the share of pictures of held-out pairs labelled right among 20 held-out pairs, over random choices."""
    rng = np.random.default_rng(11)
    pairs = sorted(HELD_OUT_PAIRS)
    accuracies = []
    for _ in range(rounds):
        chosen = [pairs[i] for i in rng.permutation(len(pairs))[:_WAYS]]
        pictures = [render_scene(Scene(*pair), rng) for pair in chosen for _ in range(each)]
        texts = embed_texts(encoder, tokenizer, [_prompt(*pair) for pair in chosen])
        best = (embed(encoder, pictures) @ texts.T).argmax(1)
        accuracies.append(np.mean(best == np.repeat(np.arange(_WAYS), each)))
    return float(np.mean(accuracies))


def _prompt(colour: str, shape: str) -> str:
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape}"


def shade_accuracy(encoder: Encoder, tokenizer: Tokenizer, each: int = 10) -> dict[str, float]:
    """Returns, for each of HTML_COLOURS, the share of shapes in it whose colour is found among the 12 colours.

    The paper is white, black or gray, whichever of them is not the colour of the shape.
    """
    from PIL import ImageColor

    rng = np.random.default_rng(23)
    colours = list(COLOURS)
    accuracy: dict[str, float] = {}
    for colour, names in HTML_COLOURS.items():
        for name in names:
            r, g, b = ImageColor.getrgb(name)[:3]
            palette: dict[str, Rgb] = {**COLOURS, colour: (r, g, b)}
            right = []
            for _ in range(each):
                shape = SHAPES[rng.integers(len(SHAPES))]
                paper = str(rng.choice([p for p in ("white", "black", "gray") if _far(palette[p], (r, g, b))]))
                picture = render_scene(Scene(colour, shape, background=paper), rng, palette=palette)
                texts = embed_texts(encoder, tokenizer, [_prompt(other, shape) for other in colours])
                right.append(colours[int((embed(encoder, [picture]) @ texts.T).argmax())] == colour)
            accuracy[name] = float(np.mean(right))
    return accuracy


def _far(one: Rgb, other: Rgb) -> bool:
    return float(np.linalg.norm(np.subtract(one, other))) > 90


def patterns_and_shapes(encoder: Encoder, tokenizer: Tokenizer, each: int = 300) -> dict[str, float]:
    """Returns how well captions of patterns and captions of shapes are kept apart.

    Returns:
        `patterns`: the share of pictures without a shape whose nearest caption is of a pattern.
        `shapes`: the share of pictures of a held-out pair whose nearest caption is of a shape.
    """
    rng = np.random.default_rng(29)
    shapes = [_prompt(colour, shape) for colour in COLOURS for shape in SHAPES]
    patterns = [caption for captions in CAPTIONS.values() for caption in captions]
    texts = embed_texts(encoder, tokenizer, [*shapes, *patterns])
    pairs = sorted(HELD_OUT_PAIRS)
    shown = [render_scene(Scene(*pairs[i % len(pairs)]), rng) for i in range(each)]
    others = [Image.fromarray(random_pattern(rng)[0]) for _ in range(each)]
    nearest = [(embed(encoder, pictures) @ texts.T).argmax(1) for pictures in (others, shown)]
    return {
        "patterns": float(np.mean(nearest[0] >= len(shapes))),
        "shapes": float(np.mean(nearest[1] < len(shapes))),
    }
