"""Decodes a picture to the image graph's input.

The steps: format, header, limits, first frame, 8-bit RGB over white, EXIF orientation, resize, crop. All of them use
Pillow, because checkpoints were trained with it.
"""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_cost import Charge, coefficient_bytes, decode_cost
from glimpse.backbone.images.formats import is_read, sniff
from glimpse.backbone.images.jpeg2000_header import check_samples
from glimpse.backbone.images.limits import MAX_SCANS, ImageLimits, admit, check_scans, check_size
from glimpse.backbone.images.metadata import count_scans, strip_metadata, webp_size
from glimpse.backbone.images.resize import Thumbnail, encode_thumbnail, fit, scale_down
from glimpse.backbone.images.rgb import DeepPixels, flatten
from glimpse.backbone.images.tiff_layout import check_jpeg_blocks, check_layout, deep_pixels
from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

Pixels = npt.NDArray[np.uint8]

# Messages of Pillow's decoders for files that they do not support.
_UNSUPPORTED = re.compile(r"(?i)unsupported|not supported|cannot handle|unknown (pixel|raw) mode|unknown data org")
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow's warnings would only repeat the errors that are raised here.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The decoded first frame of a picture, without its decoder."""

    image: Image.Image
    orientation: int
    deep: DeepPixels


def decode_image(
    data: bytes, rule: ImageRule, limits: ImageLimits | None = None, charge: Charge = lambda _: None
) -> Pixels:
    """Decodes a picture to the image graph's input.

    Args:
        data: the encoded picture.
        rule: the backbone's resize and crop.
        limits: None for the defaults.
        charge: is called with the cost after the header was checked; it may raise to refuse the picture.

    Returns:
        Pixels, uint8 (size, size, 3).

    Raises:
        InputError: IMAGE_EMPTY, IMAGE_FORMAT_UNKNOWN, IMAGE_FORMAT_UNSUPPORTED, IMAGE_DAMAGED, IMAGE_TRUNCATED,
            IMAGE_TOO_LARGE or IMAGE_TOO_COMPLEX.
    """
    file_format = format_of(data)
    with input_errors(file_format):
        return np.asarray(fit(load_upright(data, file_format, rule, limits or ImageLimits(), charge), rule))


def make_thumbnail(data: bytes, rule: Thumbnail, limits: ImageLimits, charge: Charge = lambda _: None) -> bytes:
    """Returns a picture as a small JPEG; arguments and errors are those of `decode_image`."""
    file_format = format_of(data)
    with input_errors(file_format):
        return encode_thumbnail(load_upright(data, file_format, rule, limits, charge), rule)


def to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Returns the first frame of an opened picture: upright, 8-bit RGB, transparency over white."""
    return _upright(_loaded(image, b""))


def load_upright(
    data: bytes,
    file_format: str,
    rule: ImageRule,
    limits: ImageLimits,
    charge: Charge,
    regions: Sequence[Region] = (),
) -> Image.Image:
    """Decodes a picture, or as much of a JPEG's scale as `rule` needs; call it within `input_errors`.

    Args:
        data: the encoded picture.
        file_format: the name that `format_of` returns.
        rule: the resize and crop that follow.
        limits: limits of the picture.
        charge: as of `decode_image`.
        regions: what is cropped from the picture; a JPEG then keeps its full scale.

    Returns:
        The first frame: upright, 8-bit RGB, transparency over white.
    """
    return _upright(_load(data, file_format, rule, limits, charge, regions))


def format_of(data: bytes) -> str:
    """Returns the name of a picture's format. Raises InputError if it is empty, or of a format that is not read."""
    if not data:
        raise InputError("IMAGE_EMPTY", "the image has 0 bytes")
    file_format = sniff(data)
    if file_format is None:
        raise InputError("IMAGE_FORMAT_UNKNOWN", "not recognised as a picture, or as any other known format")
    if not is_read(file_format):
        hint = "; pip install 'glimpse-fewshot[heif]' to read it" if file_format == "HEIF" else ""
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"the format {file_format} is not supported{hint}")
    return file_format


@contextmanager
def input_errors(file_format: str) -> Iterator[None]:
    """Translates what a decoder raises to an InputError."""
    try:
        yield
    except (InputError, LargeImage):
        raise
    except Image.DecompressionBombError as error:
        raise InputError("IMAGE_TOO_LARGE", f"{file_format} with far too many pixels") from error
    except MemoryError as error:
        raise InputError("IMAGE_TOO_LARGE", f"decoding this {file_format} takes too much memory") from error
    except Exception as error:  # a hostile file can make a decoder raise almost anything
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise InputError("IMAGE_TRUNCATED", f"the {file_format} ends too early: {error}") from error
        if _UNSUPPORTED.search(str(error)):
            message = f"{file_format} of an unsupported kind: {error}"
            raise InputError("IMAGE_FORMAT_UNSUPPORTED", message) from error
        raise InputError("IMAGE_DAMAGED", f"damaged {file_format}: {error}") from error


def _load(
    data: bytes,
    file_format: str,
    rule: ImageRule,
    limits: ImageLimits,
    charge: Charge,
    regions: Sequence[Region],
) -> _Loaded:
    if file_format == "WEBP" and (size := webp_size(data)):  # opening a WEBP already takes its memory
        check_size(size, limits)
        admit(decode_cost("WEBP", "RGBA", size, rule, regions=regions), limits, charge)
    scans = count_scans(data, MAX_SCANS) if file_format == "JPEG" else 0
    if file_format == "JPEG2000":
        check_samples(data)
    stripped = strip_metadata(data, file_format)
    open_file, _ = Image.OPEN[file_format]  # Image.open would hide the reason of a failure
    with open_file(io.BytesIO(stripped.data), "") as image:
        check_size(image.size, limits)
        decoder_bytes, orientation = 0, _orientation(image, stripped.exif)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            check_scans(scans, image.size)
            decoder_bytes = coefficient_bytes(image, scans)
            if rule.scaled_decode and not regions:
                scale_down(image, rule)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            decoder_bytes = check_layout(image, limits.side, limits.pixels)
            check_jpeg_blocks(image, data, MAX_SCANS)
        if file_format != "WEBP":
            cost = decode_cost(
                file_format,
                image.mode,
                image.size,
                rule,
                decoder_bytes=decoder_bytes,
                turned=orientation in _TURNS,
                regions=regions,
            )
            admit(cost, limits, charge)
        return _loaded(image, stripped.exif)


def _loaded(image: ImageFile.ImageFile, exif: bytes) -> _Loaded:
    image.seek(0)
    deep = deep_pixels(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else DeepPixels()
    image.load()
    # Keep only the pixels: the decoder may hold several times as much memory.
    return _Loaded(image._new(image.im), _orientation(image, exif), deep)


def _orientation(image: Image.Image, exif: bytes) -> int:
    try:
        read = Image.Exif()
        if exif:
            read.load(exif)
        else:
            read = image.getexif()
        return int(read.get(_ORIENTATION, 1))
    except Exception:  # broken EXIF is no reason to refuse a picture
        return 1


def _upright(loaded: _Loaded) -> Image.Image:
    image = flatten(loaded.image, loaded.deep)
    turn = _TURNS.get(loaded.orientation)
    return image if turn is None else image.transpose(turn)
