"""Features that no training made: the pixels of a picture, or the words of a text. They show what a backbone brings."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np

from glimpse.backbone import ImageLimits, ImageRule, Kind, Prepared, decode_image
from glimpse.fewshot.statistics.unit_vectors import Array, Mask

# Pixels a side, and places that words are hashed to. With 32 pixels, hand signs were classified less accurately: 65.7 %
# with 16 examples a label, and 70.1 % with 16 pixels.
_SIDE, _WORDS = 16, 2048
_RULE = ImageRule(size=_SIDE, resize="squash", interpolation="bilinear")
_WORD = re.compile(r"\w+")


class UntrainedFeatures:
    """Turns inputs of one kind into unit vectors, as an `Embedder` does. `prepare` is thread-safe."""

    def __init__(self, kind: Kind, limits: ImageLimits) -> None:
        """Prepares for inputs of `kind`; `limits` are those of pictures."""
        pixels = kind == "image"
        self.name = "raw pixels" if pixels else "bag of words"
        self.dimension = 3 * _SIDE * _SIDE if pixels else _WORDS
        #: Names the vectors in a cache; the number changes with the features.
        self.space = f"untrained-{'pixels' if pixels else 'words'}-1"
        self._limits = limits

    def prepare(self, kind: Kind, content: bytes) -> Prepared:
        """Returns a picture's pixels, uint8 (S, S, 3), or the places of a text's words, int64 (T,).

        Raises:
            InputError: the picture cannot be decoded.
        """
        if kind == "image":
            return decode_image(content, _RULE, self._limits)
        text = content.decode("utf-8", "replace").casefold()
        words = _WORD.findall(text) or [text]
        return np.array([crc32(word.encode()) for word in words], np.int64)

    def encode_all(self, kind: Kind, inputs: Sequence[Prepared]) -> tuple[Array, Mask]:
        """Returns unit vectors, float32 (n, d), and that each input has one, bool (n,)."""
        vector = _pixels if kind == "image" else _words
        vectors = np.array([vector(one) for one in inputs], np.float64).reshape(len(inputs), self.dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / lengths, np.float32), np.ones(len(inputs), np.bool_)


def _pixels(picture: Prepared) -> Array:
    """Returns pixels less their mean, so that the light of a picture counts less than what it shows."""
    values = picture.reshape(-1).astype(np.float32)
    centred = values - values.mean()
    return centred if centred.any() else np.ones_like(values)


def _words(hashes: Prepared) -> Array:
    """Returns 1 + log of the words' counts, at hashed places with hashed signs (Weinberger et al. 2009)."""
    vector = np.zeros(_WORDS, np.float32)
    for number, count in Counter(hashes.tolist()).items():
        vector[number % _WORDS] += (1 + math.log(count)) * (1 if number & 1 << 31 else -1)
    if not vector.any():  # words that cancel each other
        vector[hashes[0] % _WORDS] = 1
    return vector
