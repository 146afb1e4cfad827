"""Decodes regions of a picture: each gives the same pixels as the picture that was cropped to it before.

A JPEG is decoded at its full scale here, also for a backbone that takes scaled ones: a region's pixels then depend
neither on its size nor on the other regions that are decoded with it.
"""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glimpse.backbone.images.decode_cost import Charge
from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.images.preprocess import format_of, input_errors, load_upright
from glimpse.backbone.images.resize import Crop, fit
from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

Pixels = npt.NDArray[np.uint8]
# The client encodes Pillow images at this level too: four times as fast as the default, for 10 % more bytes.
_PNG_LEVEL = 1


def decode_regions(
    data: bytes,
    rule: ImageRule,
    regions: Sequence[Region],
    limits: ImageLimits | None = None,
    charge: Charge = lambda _: None,
) -> Pixels:
    """Decodes a picture once, and returns each of its regions as the image graph's input.

    Args:
        data: the encoded picture.
        rule: the backbone's resize and crop.
        regions: n regions of the upright picture.
        limits: None for the defaults.
        charge: as of `decode_image`.

    Returns:
        Pixels, uint8 (n, size, size, 3).

    Raises:
        InputError: the reasons of `decode_image`; REGION_EMPTY if a region has no pixel.
    """
    file_format = format_of(data)
    with input_errors(file_format):
        image = load_upright(data, file_format, rule, limits or ImageLimits(), charge, regions)
        return np.stack([np.asarray(fit(image.crop(region.box(image.size)), rule)) for region in regions])


def crop_image(
    data: bytes, region: Region, limits: ImageLimits | None = None, charge: Charge = lambda _: None
) -> bytes:
    """Returns a region of a picture as a PNG of the same pixels; arguments and errors are those of `decode_regions`."""
    file_format = format_of(data)
    with input_errors(file_format):
        image = load_upright(data, file_format, Crop(), limits or ImageLimits(), charge, [region])
        crop = image.crop(region.box(image.size))
        crop.info = {}  # Pillow writes texts that it finds there
        target = io.BytesIO()
        crop.save(target, "PNG", compress_level=_PNG_LEVEL)
        return target.getvalue()
