"""How a TIFF lays its pixels out: checked before it is decoded, and put right where Pillow reads it wrongly."""

from PIL import TiffImagePlugin

from glimpse.backbone.errors import InputError
from glimpse.backbone.images.metadata import count_scans
from glimpse.backbone.images.rgb import DeepPixels

_BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS, _SAMPLES, _ROWS, _COUNTS = 258, 259, 262, 273, 277, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS, _FORMAT = 322, 323, 324, 325, 339
_JPEG, _UNCOMPRESSED = 7, 1
# CCITT, LZW, JPEG, Deflate under both numbers, PackBits, LZMA and Zstandard. The others are rare, and their decoders
# are seldom looked at.
_COMPRESSIONS = {_UNCOMPRESSED, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 34925, 50000}
_WHITE_IS_ZERO, _UNSIGNED, _SIGNED = 0, 1, 2
# libtiff gives numbers in the machine's byte order, whatever the file's: Pillow knows that of 16 bits without a sign.
_NATIVE = {"F;32F": "F;32NF", "F;32BF": "F;32NF", "I;32S": "I;32NS", "I;32BS": "I;32NS"}
_NATIVE |= {"I;16S": "I;16NS", "I;16BS": "I;16NS"}
# A block is decompressed beside what it is decompressed from; in a JPEG there are coefficients of two bytes too.
_COPIES, _JPEG_COPIES = 2, 4
# Blocks may share bytes, as equal tiles of some writers do, up to this many times the file.
_SHARED = 4


def check_layout(image: TiffImagePlugin.TiffImageFile, side: int, pixels: int) -> int:
    """Checks the blocks, tiles or strips, that a TIFF is decoded by, and has its numbers read in the right byte order.

    Args:
        image: opened and not loaded.
        side: the largest side of a block, in pixels.
        pixels: the most pixels of a block.

    Returns:
        The bytes that the decoder takes for a block.

    Raises:
        InputError: IMAGE_FORMAT_UNSUPPORTED, IMAGE_TOO_LARGE.
    """
    tags = image.tag_v2
    bits, compression = tags.get(_BITS, (1,)), tags.get(_COMPRESSION, _UNCOMPRESSED)
    if compression not in _COMPRESSIONS:
        name = TiffImagePlugin.COMPRESSION_INFO.get(compression, "an unknown compression").removeprefix("tiff_")
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"TIFF compressed by {name} ({compression}) is not read")
    if bits[0] <= 16 and _SIGNED in tags.get(_FORMAT, ()):
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"TIFF with signed samples of {bits[0]} bits is not read")
    width, height = image._tile_size  # before an orientation is undone
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
    """Checks the scans of each JPEG within a TIFF, of which blocks may point to the same.

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
    """Returns what the numbers of a TIFF of more than 8 bits mean."""
    tags = image.tag_v2
    bits = tags.get(_BITS, (1,))[0]
    return DeepPixels(
        white=4_095 if bits == 12 else 65_535,
        inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        unsigned=bits == 32 and tags.get(_FORMAT, (_UNSIGNED,))[0] == _UNSIGNED,
    )
