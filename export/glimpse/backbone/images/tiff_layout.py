"""Checks how a TIFF stores its pixels before it is decoded, and corrects what Pillow would read wrongly."""

from PIL import TiffImagePlugin

from glimpse.backbone.errors import InputError
from glimpse.backbone.images.metadata import count_scans
from glimpse.backbone.images.rgb import DeepPixels

_BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS, _SAMPLES, _ROWS, _COUNTS = 258, 259, 262, 273, 277, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 322, 323, 324, 325, 339
_JPEG, _UNCOMPRESSED = 7, 1
# CCITT, LZW, JPEG, Deflate (two codes), PackBits, LZMA and Zstandard. Other compressions are rare, and their decoders
# get little scrutiny.
_COMPRESSIONS = {_UNCOMPRESSED, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 34925, 50000}
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2
# libtiff returns samples in the machine's byte order, whatever the file's. Pillow handles that only for unsigned 16
# bits.
_NATIVE = {"F;32F": "F;32NF", "F;32BF": "F;32NF", "I;32S": "I;32NS", "I;32BS": "I;32NS"}
_NATIVE |= {"I;16S": "I;16NS", "I;16BS": "I;16NS"}
# Memory per byte of a block: the compressed and the decompressed block; a JPEG also has coefficients of two bytes.
_COPIES, _JPEG_COPIES = 2, 4
# Blocks may share bytes, as some writers do for equal tiles; their sizes may add up to this many times the file.
_SHARED = 4


def check_layout(image: TiffImagePlugin.TiffImageFile, side: int, pixels: int) -> int:
    """Checks the size of a TIFF's blocks (tiles or strips), and corrects the byte order in which they are read.

    Args:
        image: an opened TIFF that is not loaded; its tile descriptions are changed.
        side: the longest side of a block, in pixels.
        pixels: the most pixels of a block.

    Returns:
        The memory that the decoder takes for one block, in bytes.

    Raises:
        InputError: IMAGE_FORMAT_UNSUPPORTED or IMAGE_TOO_LARGE.
    """
    tags = image.tag_v2
    bits, compression = tags.get(_BITS, (1,)), tags.get(_COMPRESSION, _UNCOMPRESSED)
    if compression not in _COMPRESSIONS:
        name = TiffImagePlugin.COMPRESSION_INFO.get(compression, "an unknown compression").removeprefix("tiff_")
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"TIFF compressed by {name} ({compression}) is not read")
    if bits[0] <= 16 and _SIGNED in tags.get(_FORMAT, ()):
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"TIFF with signed samples of {bits[0]} bits is not read")
    width, height = image._tile_size  # the size before the orientation is applied
    wide, tall = tags.get(_TILE_WIDTH, width), tags.get(_TILE_LENGTH, height)
    if _TILE_WIDTH not in tags:
        wide, tall = width, min(tags.get(_ROWS, height), height)
    if max(wide, tall) > side or wide * tall > pixels:
        message = f"TIFF in blocks of {wide} x {tall} pixels; at most {side:,} a side and {pixels:,} in all"
        raise InputError("IMAGE_TOO_LARGE", message)
    for place, tile in enumerate(image.tile):
        if isinstance(tile.args, tuple):
            rawmode, *others = tile.args
            image.tile[place] = tile._replace(args=(_NATIVE.get(rawmode, rawmode), *others))
    block: int = -(-wide * max(bits) * tags.get(_SAMPLES, 1) // 8) * tall
    return block * (_JPEG_COPIES if compression == _JPEG else _COPIES)


def check_jpeg_blocks(image: TiffImagePlugin.TiffImageFile, data: bytes, most: int) -> None:
    """Checks the number of scans of each JPEG within a TIFF; several blocks may point to the same JPEG.

    Raises:
        InputError: IMAGE_TOO_COMPLEX.
    """
    tags = image.tag_v2
    if tags.get(_COMPRESSION) != _JPEG:
        return
    offsets = tags.get(_OFFSETS) or tags.get(_TILE_OFFSETS) or ()
    counts = tags.get(_COUNTS) or tags.get(_TILE_COUNTS) or ()
    if sum(counts) > _SHARED * len(data):
        raise InputError("IMAGE_TOO_COMPLEX", "TIFF whose blocks share their bytes")
    for offset, count in zip(offsets, counts, strict=False):
        if count_scans(data, most, offset, offset + count) > most:
            raise InputError("IMAGE_TOO_COMPLEX", f"TIFF with a JPEG of more than {most} scans")


def deep_pixels(image: TiffImagePlugin.TiffImageFile) -> DeepPixels:
    """Returns how to read the values of a TIFF with more than 8 bits per sample."""
    tags = image.tag_v2
    bits = tags.get(_BITS, (1,))[0]
    return DeepPixels(
        white=4_095 if bits == 12 else 65_535,
        inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        unsigned=bits == 32 and tags.get(_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED,
    )
