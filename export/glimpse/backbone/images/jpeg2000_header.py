"""Reads the header of a JPEG 2000 codestream, and refuses what Pillow would decode to wrong pixels."""

from glimpse.backbone.errors import InputError

_START = b"\xff\x4f\xff\x51"  # SOC and SIZ
# Offsets from the start of SOC: the number of components, and their descriptions of three bytes each.
_COUNT, _COMPONENTS, _EACH = 40, 42, 3
_SIGNED, _BITS = 0x80, 0x7F


def check_samples(data: bytes) -> None:
    """Checks the sample type of each component.

    Raises:
        InputError: IMAGE_FORMAT_UNSUPPORTED for signed samples, and for several components of more than 8 bits,
            whose brightest values Pillow turns black.
    """
    start = data.find(_START)
    if start < 0 or start + _COMPONENTS > len(data):
        return  # left to the decoder to report
    count = int.from_bytes(data[start + _COUNT : start + _COMPONENTS])
    samples = data[start + _COMPONENTS : start + _COMPONENTS + _EACH * count : _EACH]
    if any(sample & _SIGNED for sample in samples):
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", "JPEG2000 with signed samples is not read")
    if count > 1 and any((sample & _BITS) >= 8 for sample in samples):
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", "JPEG2000 of several channels of more than 8 bits is not read")
