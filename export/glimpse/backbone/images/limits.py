"""Limits of pictures, checked before pixels are decoded."""

from dataclasses import dataclass

from glimpse.backbone.errors import InputError
from glimpse.backbone.images.decode_cost import Charge, DecodeCost

#: Most scans of one JPEG, and most pixels that its scans may pass over together. Encoders write about ten scans,
#: optimisers about thirty.
MAX_SCANS, MAX_SCANNED_PIXELS = 100, 2_000_000_000


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest picture that is decoded.

    Attributes:
        side: pixels of the longer side.
        pixels: width times height.
        decode_bytes: memory that decoding may take in addition to the encoded picture, in bytes.
    """

    side: int = 16_384
    pixels: int = 64_000_000
    decode_bytes: int = 1 << 30


def admit(cost: DecodeCost, limits: ImageLimits, charge: Charge) -> None:
    """Checks the memory that decoding takes, and charges the cost. Raises InputError IMAGE_TOO_LARGE."""
    if cost.memory_bytes > limits.decode_bytes:
        needed, most = cost.memory_bytes >> 20, limits.decode_bytes >> 20
        raise InputError("IMAGE_TOO_LARGE", f"decoding it takes {needed:,} MiB of memory; at most {most:,}")
    charge(cost)


def check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    """Checks width and height in pixels. Raises InputError IMAGE_TOO_LARGE."""
    width, height = size
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise InputError(
            "IMAGE_TOO_LARGE",
            f"{width} x {height} pixels; at most {limits.side} a side and {limits.pixels:,} in all",
        )


def check_scans(scans: int, size: tuple[int, int]) -> None:
    """Checks the number of scans of a JPEG of this width and height. Raises InputError IMAGE_TOO_COMPLEX."""
    width, height = size
    most = min(MAX_SCANS, MAX_SCANNED_PIXELS // (width * height))
    if scans > most:
        raise InputError("IMAGE_TOO_COMPLEX", f"JPEG of more than {most} scans of {width} x {height} pixels")
