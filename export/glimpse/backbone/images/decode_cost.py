"""Estimates from a picture's header what decoding may take: bytes of memory and processor seconds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import JpegImagePlugin

from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

#: A picture is resized as a whole if its resized longer side is at most this many times the wanted side. Otherwise only
#: the part that survives the crop is resized.
WHOLE = 4
# Bytes per pixel that a decoder needs in addition to the decoded picture, by format; measured by
# tests/backbone/images/test_image_files.py.
_CODEC_BYTES = {"PNG": 0, "GIF": 4, "BMP": 3, "PPM": 8, "WEBP": 12, "JPEG2000": 12, "AVIF": 12, "HEIF": 12}
# Bytes per pixel of the decoded picture, by Pillow's mode; all other modes have four.
_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_RGB_BYTES = 4
# Bytes per pixel of a crop: its pixels, and for a crop that is encoded as PNG the file and a copy of it.
_CROP_BYTES = 12
# Processor seconds for any picture, and for each megapixel: three times what random noise takes on a busy machine.
_SECONDS, _SECONDS_PER_MEGAPIXEL = 2.0, 0.25
_SLOW_SECONDS_PER_MEGAPIXEL = {"JPEG2000": 0.75, "AVIF": 0.4, "HEIF": 0.4}
# A JPEG of several scans keeps its coefficients, two bytes each, in blocks padded to this many pixels on each side.
_COEFFICIENT_BYTES, _PADDED = 2, 64


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """An upper bound of what decoding takes.

    Attributes:
        memory_bytes: memory in addition to the encoded picture, in bytes.
        seconds: processor time.
    """

    memory_bytes: int
    seconds: float


#: Is called with a picture's cost before it is decoded, and may raise to refuse it.
Charge = Callable[[DecodeCost], None]


def decode_cost(
    file_format: str,
    mode: str,
    size: tuple[int, int],
    rule: ImageRule,
    *,
    decoder_bytes: int = 0,
    turned: bool = False,
    regions: Sequence[Region] = (),
) -> DecodeCost:
    """Returns the cost of decoding, of the conversion to RGB and of the resize.

    Args:
        file_format: the name that `sniff` returns.
        mode: Pillow's mode of the decoded picture.
        size: width and height in pixels, as decoded.
        rule: the resize that follows.
        decoder_bytes: memory of the decoder that does not follow from format and size.
        turned: whether the picture is rotated or flipped by its EXIF orientation, which makes a copy.
        regions: the parts of the picture that are cropped, one after the other; none for the whole picture.
    """
    width, height = size
    pixels, stored = width * height, _STORED_BYTES.get(mode, 4)
    decoded = stored + _CODEC_BYTES.get(file_format, 0)
    converted = stored if mode == "RGB" else stored + _RGB_BYTES
    per_pixel = max(decoded, converted, 2 * _RGB_BYTES if turned else 0)
    memory = pixels * per_pixel + decoder_bytes + _resized_bytes(size, rule)
    memory += _cropped_bytes(size, rule, regions)
    per_megapixel = _SLOW_SECONDS_PER_MEGAPIXEL.get(file_format, _SECONDS_PER_MEGAPIXEL)
    cropped = _SECONDS_PER_MEGAPIXEL * sum(region.area for region in regions)
    return DecodeCost(memory, _SECONDS + (per_megapixel + cropped) * pixels / 1e6)


def coefficient_bytes(image: JpegImagePlugin.JpegImageFile, scans: int) -> int:
    """Returns the bytes of coefficients that a decoder keeps for a JPEG of several scans; 0 for a single scan."""
    if scans <= 1 and not image.info.get("progressive"):
        return 0
    width, height = (-(-side // _PADDED) * _PADDED for side in image.size)
    most = max((across * down for _, across, down, _ in image.layer), default=1)
    samples = sum(across * down for _, across, down, _ in image.layer) / most
    return int(_COEFFICIENT_BYTES * width * height * samples)


def _cropped_bytes(size: tuple[int, int], rule: ImageRule, regions: Sequence[Region]) -> int:
    """Returns the bytes of the largest crop, of its copies while it is resized or encoded, and of all results."""
    if not regions:
        return 0
    width, height = size
    largest = max(min(width, width * one.width + 1) * min(height, height * one.height + 1) for one in regions)
    # A strip of a picture can be longer for its height than the picture: its resize is bounded by this one.
    resized = _RGB_BYTES * WHOLE * (rule.resize_to or rule.size) * (max(size) + WHOLE * (rule.resize_to or rule.size))
    return int(_CROP_BYTES * largest) + resized + 2 * len(regions) * 3 * rule.size**2


def _resized_bytes(size: tuple[int, int], rule: ImageRule) -> int:
    """Returns the bytes of the picture after both passes of the resize: first along rows, then along columns."""
    width, height = size
    goal = rule.resize_to or rule.size
    across = min(WHOLE * goal, goal * -(-width // height))
    down = min(WHOLE * goal, goal * -(-height // width))
    return _RGB_BYTES * across * (height + down)
