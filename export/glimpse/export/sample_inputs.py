"""Sample inputs for comparisons: pictures of many sizes, texts of many lengths; needs no torch."""

import functools
import io
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from glimpse.backbone import Bundle, ImageRule, Tokenizer, decode_image
from glimpse.export.graph.graph_editing import IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.onnx.onnx_model import Inputs

_SIZES = ((224, 224), (640, 480), (300, 500), (97, 131), (1024, 256), (64, 64), (500, 333), (256, 384))
_WORDS = "a photo of the small dog that runs over green grass beside an old red house in the evening".split()  # noqa: SIM905
_ODD_TEXTS = (
    *("", " ", "x", "A Photo, of   3 Cats!", "UPPER CASE", "it's 12:30 — don't be late…", "“curly” ‘quotes’"),
    *("naïve café in Zürich", "日本語のテキスト", "Привет, мир", "emoji ☕ 🚀", "tab\tand\nnewline"),
    *("email@example.com/path?x=1&y=2", "snake_case_name", "supercalifragilisticexpialidocious " * 3),
)


def pictures(seed: int = 0) -> list[Image.Image]:
    """Draws sixteen RGB pictures: scenes, noise and gradients, in the sizes and shapes that pictures come in."""
    from glimpse.export.drawings.rendering import render_scene
    from glimpse.export.drawings.scenes import HELD_OUT_PAIRS, Scene

    rng = np.random.default_rng(seed)
    pairs = sorted(HELD_OUT_PAIRS)
    shown = [pairs[i] for i in rng.permutation(len(pairs))[: len(_SIZES)]]
    found = [
        render_scene(Scene(colour, shape), rng).resize(size, Image.Resampling.BICUBIC)
        for (colour, shape), size in zip(shown, _SIZES, strict=True)
    ]
    for width, height in _SIZES[:4]:
        found.append(Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)))
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        found.append(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return found


def texts(context: int, seed: int = 0) -> list[str]:
    """Returns about thirty texts: empty and over-long, with capitals, punctuation, accents, other scripts and emoji.

    Args:
        context: the most tokens of a text, which decides the over-long ones.
        seed: other seeds give other texts.
    """
    rng = np.random.default_rng(seed)
    words = [_WORDS[i] for i in rng.permutation(len(_WORDS))] if seed else _WORDS
    odd = [" ".join(text.split(" ")[::-1]) for text in _ODD_TEXTS] if seed else _ODD_TEXTS
    sentences = [" ".join(words[: 1 + i % len(words)]) for i in range(0, 2 * len(words), 3)]
    return [*sentences, *odd, f"{words[3]} " * (2 * context), "".join(words) * context]


def encoded(picture: Image.Image) -> bytes:
    """Encodes a picture as PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()


@functools.cache
def encoded_pictures(seed: int = 0) -> tuple[bytes, ...]:
    """Returns the sample pictures as PNG. They are cached: drawing takes longer than a small model runs on them."""
    return tuple(encoded(picture) for picture in pictures(seed))


def pixels_of(rule: ImageRule, shown: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Decodes pictures with a bundle's own preprocessing: uint8 (n, S, S, 3)."""
    return np.stack([decode_image(picture, rule) for picture in shown])


def batches_of(bundle: Bundle, shown: Sequence[bytes], seed: int = 0) -> Iterator[tuple[str, list[Inputs]]]:
    """Yields each graph of a bundle with batches of eight inputs: the pictures, and sample texts."""
    batch = 8
    if bundle.manifest.image:
        pixels = pixels_of(bundle.manifest.image, shown)
        yield "image.onnx", [{IMAGES: pixels[i : i + batch]} for i in range(0, len(pixels), batch)]
    if bundle.manifest.text:
        tokenizer = Tokenizer.of(bundle)
        ids = [tokenizer.encode(text).ids for text in texts(bundle.manifest.text.context_length, seed)]
        padded = [tokenizer.pad(ids[i : i + batch]) for i in range(0, len(ids), batch)]
        yield "text.onnx", [dict(zip((IDS, MASK), one, strict=True)) for one in padded]
