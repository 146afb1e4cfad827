"""Whether a bundle gives what the plain ONNX model gives, with its rules applied in NumPy."""

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
    """Pictures through the bundle's graph; and through `vector`, which gives the model's own, of length 1."""
    pixels = pixels_of(rule, encoded_pictures())
    wanted = np.stack([vector(one) for one in pixels])
    return [_check("image graph", bundle, image_vectors(on_cpu(bundle), pixels), wanted)]


def compare_texts(vector: Callable[[npt.NDArray[np.int64]], Array], context: int, bundle: Bundle) -> list[Check]:
    """Texts through the bundle's graph; and through `vector`, which gives the model's own, of length 1."""
    tokenizer = Tokenizer.of(bundle)
    ids = [tokenizer.encode(text).ids for text in texts(context)]
    wanted = np.stack([vector(one) for one in ids])
    return [_check("text graph", bundle, text_vectors(on_cpu(bundle), tokenizer, ids), wanted)]


def _check(part: str, bundle: Bundle, found: list[Array], wanted: Array) -> Check:
    """The smallest cosine of every input at every batch size."""
    return Check(f"{part}: smallest cosine", smallest_cosine(found, wanted), ">=", MIN_COSINES[bundle.manifest.precision])
