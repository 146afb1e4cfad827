"""How near the vectors of JPEGs decoded at a part of their size come to those of JPEGs decoded whole."""

from collections.abc import Sequence

import numpy as np

from glimpse.backbone.images.preprocess import decode_image
from glimpse.backbone.inference.encoder import Encoder
from glimpse.backbone.manifest import ImageRule

_AT_ONCE = 8


def scaled_decode_cosine(encoder: Encoder, rule: ImageRule, photos: Sequence[bytes]) -> float | None:
    """The smallest cosine between the vectors of the exact and of the scaled path, whatever `rule` says itself.

    None where no photograph is a JPEG so large that it would be scaled: then nothing was compared. Raises InputError.
    """
    exact, scaled = (rule.model_copy(update={"scaled_decode": on}) for on in (False, True))
    smallest: float | None = None
    for start in range(0, len(photos), _AT_ONCE):
        pairs = [
            (decode_image(photo, exact), decode_image(photo, scaled)) for photo in photos[start : start + _AT_ONCE]
        ]
        differing = [pair for pair in pairs if not np.array_equal(*pair)]
        if differing:
            one, other = (encoder.encode_images(np.stack(pixels)) for pixels in zip(*differing, strict=True))
            smallest = float(np.minimum(1.0 if smallest is None else smallest, (one * other).sum(1).min()))
    return smallest
