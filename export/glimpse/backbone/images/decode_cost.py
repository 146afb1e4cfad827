"""What the decoding of a picture may take, computed from its header: bytes of memory and processor seconds."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import JpegImagePlugin

from glimpse.backbone.manifest import ImageRule

#: A picture fits a side of `_WHOLE` times what is wanted, or only the part that survives the crop is resized.
WHOLE = 4
# Bytes a pixel that decoders take beside the decoded picture, by format, measured (tests/backbone/test_decode_cost.py).
_CODEC_BYTES = {"PNG": 0, "GIF": 4, "BMP": 3, "PPM": 8, "WEBP": 12, "JPEG2000": 12, "AVIF": 12, "HEIF": 12}
# Bytes a pixel of the decoded picture; all others have four.
_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_RGB_BYTES = 4
# Processor seconds of any picture, and of a megapixel: three times what noise takes on a busy machine.
_SECONDS, _SECONDS_PER_MEGAPIXEL = 2.0, 0.25
_SLOW_SECONDS_PER_MEGAPIXEL = {"JPEG2000": 0.75, "AVIF": 0.4, "HEIF": 0.4}
# A JPEG of several scans keeps its coefficients, two bytes each, in blocks that are padded to this many pixels a side.
_COEFFICIENT_BYTES, _PADDED = 2, 64


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """An upper bound: bytes of memory beside the encoded picture, and processor seconds."""

    memory_bytes: int
    seconds: float


Charge = Callable[[DecodeCost], None]


def decode_cost(
    file_format: str,
    mode: str,
    size: tuple[int, int],
    rule: ImageRule,
    *,
    decoder_bytes: int = 0,
    turned: bool = False,
) -> DecodeCost:
    """Returns what decoding, conversion to RGB and the resize take.

    Args:
        file_format: as `sniff` names it.
        mode: Pillow's mode of the decoded picture.
        size: width and height in pixels, as they are decoded.
        rule: the resize that follows.
        decoder_bytes: of the decoder's own, where they do not follow from the format and the pixels.
        turned: whether an orientation is to be undone, which makes a copy.
    """
    width, height = size
    pixels, stored = width * height, _STORED_BYTES.get(mode, 4)
    decoded = stored + _CODEC_BYTES.get(file_format, 0)
    converted = stored if mode == "RGB" else stored + _RGB_BYTES
    per_pixel = max(decoded, converted, 2 * _RGB_BYTES if turned else 0)
    memory = pixels * per_pixel + decoder_bytes + _resized_bytes(size, rule)
    each = _SLOW_SECONDS_PER_MEGAPIXEL.get(file_format, _SECONDS_PER_MEGAPIXEL)
    return DecodeCost(memory, _SECONDS + each * pixels / 1e6)


def coefficient_bytes(image: JpegImagePlugin.JpegImageFile, scans: int) -> int:
    """Returns the bytes of a JPEG's coefficients, which a decoder keeps where one scan is not all of it."""
    if scans <= 1 and not image.info.get("progressive"):
        return 0
    width, height = (-(-side // _PADDED) * _PADDED for side in image.size)
    most = max((across * down for _, across, down, _ in image.layer), default=1)
    samples = sum(across * down for _, across, down, _ in image.layer) / most
    return int(_COEFFICIENT_BYTES * width * height * samples)


def _resized_bytes(size: tuple[int, int], rule: ImageRule) -> int:
    """The picture after the resize's first pass, which is along its rows, and after its second."""
    width, height = size
    goal = rule.resize_to or rule.size
    across = min(WHOLE * goal, goal * -(-width // height))
    down = min(WHOLE * goal, goal * -(-height // width))
    return _RGB_BYTES * across * (height + down)
