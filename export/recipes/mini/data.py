"""Draws training batches on the fly: scenes with captions, and characters of new alphabets in every batch."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch.utils.data import IterableDataset

from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet
from glimpse.export.drawings.captions import caption
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import (
    COLOURS,
    COUNTS,
    FILLS,
    FONTS,
    GLYPHS,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    random_scene,
)

_FRAME_WORDS = [
    "a",
    "an",
    "the",
    "of",
    "on",
    "in",
    "picture",
    "drawing",
    "background",
    "letter",
    "digit",
    ".",
]
PAD, UNKNOWN = "[PAD]", "[UNK]"


def make_tokenizer() -> Tokenizer:
    """Builds a tokenizer of the whole words of the captions' grammar, in lower case; other words are unknown."""
    words = [word for relation in RELATIONS for word in relation.split()]
    words += [*COLOURS, *SHAPES, *(f"{s}{'es' if s.endswith(('s', 'x')) else 's'}" for s in SHAPES)]
    words += [*FILLS, *SIZES, *COUNTS, *GLYPHS, *FONTS, *_FRAME_WORDS]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys([PAD, UNKNOWN, *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


@dataclass(frozen=True)
class Mix:
    """The composition of a batch."""

    scenes: int = 72
    alphabets: int = 9
    characters: int = 16
    instances: int = 2
    image_size: int = 64
    context: int = 24


def to_pixels(picture: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """Resizes a picture to a square, as the bundle's preprocessing does: uint8 (size, size, 3)."""
    return np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))


def truth(scenes: Sequence[Scene], named: Sequence[Scene]) -> npt.NDArray[np.bool_]:
    """Returns whether caption j, by the attributes it names, is true of scene i: bool (n, n)."""
    codes = {"": 0}

    def table(rows: Sequence[Scene]) -> npt.NDArray[np.int64]:
        return np.array([[codes.setdefault(v, len(codes)) for v in (r.kind, *astuple(r))] for r in rows])

    has, says = table(scenes), table(named)
    return np.asarray(((says[None] == 0) | (says[None] == has[:, None])).all(2))


class Batches(IterableDataset[dict[str, npt.NDArray[np.generic]]]):
    """An endless stream of batches; batch i depends only on the seed and i."""

    def __init__(self, seed: int, mix: Mix, start: int = 0) -> None:
        self.seed, self.mix, self.start = seed, mix, start

    def __iter__(self) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
        tokenizer = make_tokenizer()
        tokenizer.enable_truncation(self.mix.context)
        step = self.start
        while True:
            rng = np.random.default_rng([self.seed, step])
            yield {**self._scenes(rng, tokenizer), **self._characters(rng)}
            step += 1

    def _scenes(self, rng: np.random.Generator, tokenizer: Tokenizer) -> dict[str, npt.NDArray[np.generic]]:
        scenes = [random_scene(rng) for _ in range(self.mix.scenes)]
        texts, named = zip(*(caption(scene, rng) for scene in scenes), strict=True)
        ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        width = max(map(len, ids))
        return {
            "images": np.stack([to_pixels(render_scene(s, rng), self.mix.image_size) for s in scenes]),
            "ids": np.array([row + [0] * (width - len(row)) for row in ids]),
            "mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
            "true": truth(scenes, named),
        }

    def _characters(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.generic]]:
        mix = self.mix
        pixels = []
        for _ in range(mix.alphabets):
            alphabet = Alphabet(int(rng.integers(HELD_OUT_SEED)), size=mix.characters)
            plain = rng.random() < 0.8
            for character in alphabet.characters:
                for _ in range(mix.instances):
                    size = int(rng.choice([64, 84, 105]))
                    pixels.append(to_pixels(character.draw(rng, size, plain=plain), mix.image_size))
        classes = np.repeat(np.arange(mix.alphabets * mix.characters), mix.instances)
        return {"characters": np.stack(pixels), "classes": classes}
