"""A bundle's vectors of many inputs, at every batch size that is compared: a batch must change none of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer, cores
from glimpse.backbone.inference.encoder import Vectors

BATCHES = (1, 3, 8)


def on_cpu(bundle: Bundle) -> Encoder:
    """A bundle's encoder where every machine has one, on every core."""
    return Encoder(bundle, threads=cores(), providers=["cpu"])


def image_vectors(encoder: Encoder, pixels: npt.NDArray[np.uint8]) -> list[Vectors]:
    """Vectors, (n, d), of uint8 pictures (n, S, S, 3), for each of BATCHES."""
    return [np.concatenate([encoder.encode_images(some) for some in _split(pixels, n)]) for n in BATCHES]


def text_vectors(encoder: Encoder, tokenizer: Tokenizer, ids: Sequence[npt.NDArray[np.int64]]) -> list[Vectors]:
    """Vectors, (n, d), of n texts' token ids, for each of BATCHES."""
    return [np.concatenate([encoder.encode_texts(*tokenizer.pad(some)) for some in _split(ids, n)]) for n in BATCHES]


def _split(inputs: Any, n: int) -> list[Any]:
    return [inputs[i : i + n] for i in range(0, len(inputs), n)]
