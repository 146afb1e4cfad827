"""Draws training batches on the fly: pictures with captions, and characters of new scripts in every batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from recipes.mini.pictures.samples import random_sample, to_pixels, truth
from recipes.mini.pictures.scripts import Script
from recipes.mini.words import make_tokenizer
from tokenizers import Tokenizer
from torch.utils.data import IterableDataset

from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet


@dataclass(frozen=True)
class Mix:
    """The composition of a batch.

    Attributes:
        captioned: number of pictures with captions.
        alphabets: number of alphabets and scripts.
        characters: characters of each.
        instances: drawings of each character.
        scripts: share of the alphabets that are of the wider kind (`recipes.mini.pictures.scripts`).
        image_size: side of a picture in pixels.
        context: greatest number of words of a caption.
    """

    captioned: int = 96
    alphabets: int = 10
    characters: int = 16
    instances: int = 2
    scripts: float = 0.7
    image_size: int = 64
    context: int = 24


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
            yield {**self._captioned(rng, tokenizer), **self._characters(rng)}
            step += 1

    def _captioned(self, rng: np.random.Generator, tokenizer: Tokenizer) -> dict[str, npt.NDArray[np.generic]]:
        drawn = [random_sample(rng, self.mix.image_size) for _ in range(self.mix.captioned)]
        ids = [encoding.ids for encoding in tokenizer.encode_batch([sample.text for sample in drawn])]
        width = max(map(len, ids))
        return {
            "images": np.stack([sample.pixels for sample in drawn]),
            "ids": np.array([row + [0] * (width - len(row)) for row in ids]),
            "mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
            "true": truth(drawn),
        }

    def _characters(self, rng: np.random.Generator) -> dict[str, npt.NDArray[np.generic]]:
        pixels: list[npt.NDArray[np.uint8]] = []
        classes: list[int] = []
        for _ in range(self.mix.alphabets):
            for drawings in self._alphabet(rng):
                classes += [classes[-1] + 1 if classes else 0] * len(drawings)
                pixels += drawings
        return {"characters": np.stack(pixels), "classes": np.array(classes)}

    def _alphabet(self, rng: np.random.Generator) -> Iterator[list[npt.NDArray[np.uint8]]]:
        """Yields the drawings of each character of a new alphabet or script."""
        mix, size = self.mix, self.mix.image_size
        if rng.random() < mix.scripts:
            for glyph in Script(int(rng.integers(HELD_OUT_SEED)), mix.characters).characters:
                yield [to_pixels(glyph.draw(rng, size), size) for _ in range(mix.instances)]
            return
        plain = rng.random() < 0.8
        for character in Alphabet(int(rng.integers(HELD_OUT_SEED)), size=mix.characters).characters:
            sizes = rng.choice([64, 84, 105], mix.instances)
            yield [to_pixels(character.draw(rng, int(side), plain=plain), size) for side in sizes]
