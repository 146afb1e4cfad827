"""Measures how much decoding JPEGs at a reduced scale changes their vectors."""

from collections.abc import Sequence

import numpy as np

from glimpse.backbone.images.preprocess import decode_image
from glimpse.backbone.inference.encoder import Encoder
from glimpse.backbone.manifest import ImageRule

_BATCH = 8


def scaled_decode_cosine(encoder: Encoder, rule: ImageRule, photos: Sequence[bytes]) -> float | None:
    """Returns the smallest cosine between the vectors of exact and of scaled decoding, over all photographs.

    Args:
        encoder: an encoder of images.
        rule: the preprocessing; its own `scaled_decode` is ignored.
        photos: encoded pictures.

    Returns:
        The cosine, or None if no photograph is a JPEG large enough to be scaled.

    Raises:
        InputError: a photograph cannot be decoded.
    """
    exact, scaled = (rule.model_copy(update={"scaled_decode": on}) for on in (False, True))
    smallest: float | None = None
    for start in range(0, len(photos), _BATCH):
        pairs = [(decode_image(photo, exact), decode_image(photo, scaled)) for photo in photos[start : start + _BATCH]]
        differing = [pair for pair in pairs if not np.array_equal(*pair)]
        if differing:
            one, other = (encoder.encode_images(np.stack(pixels)) for pixels in zip(*differing, strict=True))
            smallest = float(np.minimum(1.0 if smallest is None else smallest, (one * other).sum(1).min()))
    return smallest
