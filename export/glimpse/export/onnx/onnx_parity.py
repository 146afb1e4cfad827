"""Compares a bundle with the plain ONNX model it was made from, whose pre- and post-processing runs in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, ImageRule, Tokenizer
from glimpse.export.batch_runner import image_vectors, on_cpu, text_vectors
from glimpse.export.sample_inputs import encoded_pictures, pixels_of, texts
from glimpse.export.tolerance import MIN_COSINES, Check, smallest_cosine

Array = npt.NDArray[Any]


def compare_images(vector: Callable[[npt.NDArray[np.uint8]], Array], rule: ImageRule, bundle: Bundle) -> list[Check]:
    """Compares the bundle's vectors of sample pictures with the model's.

    Args:
        vector: returns the model's unit vector, (d,), of pixels, uint8 (S, S, 3).
        rule: the preprocessing.
        bundle: the bundle.
    """
    pixels = pixels_of(rule, encoded_pictures())
    wanted = np.stack([vector(picture) for picture in pixels])
    return [_check("image graph", bundle, image_vectors(on_cpu(bundle), pixels), wanted)]


def compare_texts(vector: Callable[[npt.NDArray[np.int64]], Array], context: int, bundle: Bundle) -> list[Check]:
    """Compares the bundle's vectors of sample texts with the model's.

    Args:
        vector: returns the model's unit vector, (d,), of token ids, int64 (T,).
        context: the most tokens of a text.
        bundle: the bundle.
    """
    tokenizer = Tokenizer.of(bundle)
    ids = [tokenizer.encode(text).ids for text in texts(context)]
    wanted = np.stack([vector(row) for row in ids])
    return [_check("text graph", bundle, text_vectors(on_cpu(bundle), tokenizer, ids), wanted)]


def _check(part: str, bundle: Bundle, actual: list[Array], wanted: Array) -> Check:
    """Returns the check of the smallest cosine over all inputs and batch sizes."""
    return Check(
        f"{part}: smallest cosine", smallest_cosine(actual, wanted), ">=", MIN_COSINES[bundle.manifest.precision]
    )
