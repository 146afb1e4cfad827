"""Runs a bundle at several batch sizes, which must all give the same vectors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer, cores
from glimpse.backbone.inference.encoder import Vectors

BATCHES = (1, 3, 8)


def on_cpu(bundle: Bundle) -> Encoder:
    """Opens a bundle's encoder on the CPU with every core."""
    return Encoder(bundle, threads=cores(), providers=["cpu"])


def image_vectors(encoder: Encoder, pixels: npt.NDArray[np.uint8]) -> list[Vectors]:
    """Returns the vectors of pictures, float32 (n, d), once for each batch size of BATCHES.

    Args:
        encoder: an encoder of images.
        pixels: uint8 (n, S, S, 3).
    """
    return [np.concatenate([encoder.encode_images(batch) for batch in _split(pixels, n)]) for n in BATCHES]


def text_vectors(encoder: Encoder, tokenizer: Tokenizer, ids: Sequence[npt.NDArray[np.int64]]) -> list[Vectors]:
    """Returns the vectors of tokenized texts, float32 (n, d), once for each batch size of BATCHES."""
    return [np.concatenate([encoder.encode_texts(*tokenizer.pad(batch)) for batch in _split(ids, n)]) for n in BATCHES]


def _split(inputs: Any, n: int) -> list[Any]:
    return [inputs[i : i + n] for i in range(0, len(inputs), n)]
