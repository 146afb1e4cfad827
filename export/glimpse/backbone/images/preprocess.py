"""From an encoded picture to the graph's input, with the limits before the pixels.

Order: format, header and limits, first frame, 8-bit RGB over white, EXIF orientation, resize, crop. Pillow throughout,
because checkpoints were trained with it.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_cost import WHOLE, Charge, DecodeCost, coefficient_bytes, decode_cost
from glimpse.backbone.images.formats import is_read, sniff
from glimpse.backbone.images.jpeg2000_header import check_samples
from glimpse.backbone.images.metadata import count_scans, strip_metadata, webp_size
from glimpse.backbone.images.rgb import DeepPixels, flatten
from glimpse.backbone.images.tiff_layout import check_jpeg_blocks, check_layout, deep_pixels
from glimpse.backbone.manifest import ImageRule

Pixels = npt.NDArray[np.uint8]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# Of the pixels a side that the resize makes, how many a scaled JPEG keeps: see docs/bundle.md for what that costs.
_SPARE = 2
# Scans of one JPEG, and what they may walk together: encoders write about ten, optimisers some thirty.
_MAX_SCANS, _MAX_SCANNED_PIXELS = 100, 2_000_000_000
# Of the messages of Pillow's decoders.
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
# The limits below are ours; what Pillow warns of while it reads would only repeat the outcome.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest picture that is decoded.

    Attributes:
        side: pixels of the longer side.
        pixels: width times height.
        decode_bytes: memory that decoding may take, beside the encoded picture.
    """

    side: int = 16_384
    pixels: int = 64_000_000
    decode_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A decoded first frame, without its decoder."""

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
        charge: called with the cost once the header is read and within the limits; may raise to refuse it.

    Returns:
        uint8 (size, size, 3).

    Raises:
        InputError: IMAGE_EMPTY, IMAGE_FORMAT_UNKNOWN, IMAGE_FORMAT_UNSUPPORTED, IMAGE_DAMAGED, IMAGE_TRUNCATED,
            IMAGE_TOO_LARGE or IMAGE_TOO_COMPLEX.
    """
    file_format = _format_of(data)
    with _input_errors(file_format):
        loaded = _load(data, file_format, rule, limits or ImageLimits(), charge)
        return np.asarray(_fit(_upright(loaded), rule))


def to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Returns the first frame of an opened picture: upright, 8-bit RGB, transparency over white."""
    return _upright(_loaded(image, b""))


def _format_of(data: bytes) -> str:
    if not data:
        raise InputError("IMAGE_EMPTY", "the image has 0 bytes")
    file_format = sniff(data)
    if file_format is None:
        raise InputError("IMAGE_FORMAT_UNKNOWN", "not recognised as a picture, or as any other known format")
    if not is_read(file_format):
        hint = "; pip install 'glimpse-fewshot[heif]' to read it" if file_format == "HEIF" else ""
        raise InputError("IMAGE_FORMAT_UNSUPPORTED", f"the format is {file_format}, which is not read{hint}")
    return file_format


@contextmanager
def _input_errors(file_format: str) -> Iterator[None]:
    """Raises whatever a decoder raises as an InputError."""
    try:
        yield
    except (InputError, LargeImage):
        raise
    except Image.DecompressionBombError as error:
        raise InputError("IMAGE_TOO_LARGE", f"{file_format} with far too many pixels") from error
    except MemoryError as error:
        raise InputError("IMAGE_TOO_LARGE", f"decoding this {file_format} takes too much memory") from error
    except Exception as error:  # a hostile file can raise almost anything out of a decoder
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise InputError("IMAGE_TRUNCATED", f"the {file_format} ends too early: {error}") from error
        if _UNSUPPORTED.search(str(error)):
            message = f"{file_format} of a kind that is not read: {error}"
            raise InputError("IMAGE_FORMAT_UNSUPPORTED", message) from error
        raise InputError("IMAGE_DAMAGED", f"damaged {file_format}: {error}") from error


def _load(data: bytes, file_format: str, rule: ImageRule, limits: ImageLimits, charge: Charge) -> _Loaded:
    if file_format == "WEBP" and (size := webp_size(data)):  # opening it takes the memory already
        _check_size(size, limits)
        _admit(decode_cost("WEBP", "RGBA", size, rule), limits, charge)
    scans = count_scans(data, _MAX_SCANS) if file_format == "JPEG" else 0
    if file_format == "JPEG2000":
        check_samples(data)
    stripped = strip_metadata(data, file_format)
    open_file, _ = Image.OPEN[file_format]  # Image.open hides why it could not
    with open_file(io.BytesIO(stripped.data), "") as image:
        _check_size(image.size, limits)
        decoder_bytes, orientation = 0, _orientation(image, stripped.exif)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            _check_scans(scans, image.size)
            decoder_bytes = coefficient_bytes(image, scans)
            if rule.scaled_decode:
                _scale_down(image, rule)
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            decoder_bytes = check_layout(image, limits.side, limits.pixels)
            check_jpeg_blocks(image, data, _MAX_SCANS)
        if file_format != "WEBP":
            turned = orientation in _TURNS
            cost = decode_cost(file_format, image.mode, image.size, rule, decoder_bytes=decoder_bytes, turned=turned)
            _admit(cost, limits, charge)
        return _loaded(image, stripped.exif)


def _admit(cost: DecodeCost, limits: ImageLimits, charge: Charge) -> None:
    if cost.memory_bytes > limits.decode_bytes:
        wanted, most = cost.memory_bytes >> 20, limits.decode_bytes >> 20
        raise InputError("IMAGE_TOO_LARGE", f"decoding it takes {wanted:,} MiB of memory; at most {most:,}")
    charge(cost)


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise InputError(
            "IMAGE_TOO_LARGE",
            f"{width} x {height} pixels; at most {limits.side} a side and {limits.pixels:,} in all",
        )


def _check_scans(scans: int, size: tuple[int, int]) -> None:
    width, height = size
    most = min(_MAX_SCANS, _MAX_SCANNED_PIXELS // (width * height))
    if scans > most:
        raise InputError("IMAGE_TOO_COMPLEX", f"JPEG of more than {most} scans of {width} x {height} pixels")


def _scale_down(image: ImageFile.ImageFile, rule: ImageRule) -> None:
    """Has a JPEG decoded at the least of 1, 1/2, 1/4 and 1/8 that leaves `_SPARE` times what the resize makes of it."""
    least = _SPARE * (rule.resize_to or rule.size)
    image.draft(None, (least, least))


def _loaded(image: ImageFile.ImageFile, exif: bytes) -> _Loaded:
    image.seek(0)
    deep = deep_pixels(image) if isinstance(image, TiffImagePlugin.TiffImageFile) else DeepPixels()
    image.load()
    # Keeps the pixels, and lets go of the decoder, which may hold several times as much.
    return _Loaded(image._new(image.im), _orientation(image, exif), deep)


def _orientation(image: Image.Image, exif: bytes) -> int:
    try:
        read = Image.Exif()
        if exif:
            read.load(exif)
        else:
            read = image.getexif()
        return int(read.get(_ORIENTATION, 1))
    except Exception:  # EXIF can be broken in any way, and is no reason to refuse the picture
        return 1


def _upright(loaded: _Loaded) -> Image.Image:
    image = flatten(loaded.image, loaded.deep)
    turn = _TURNS.get(loaded.orientation)
    return image if turn is None else image.transpose(turn)


def _fit(image: Image.Image, rule: ImageRule) -> Image.Image:
    size, filter_ = rule.size, _FILTERS[rule.interpolation]
    if rule.resize == "squash":
        return image if image.size == (size, size) else image.resize((size, size), filter_)
    # torchvision's Resize and CenterCrop: the longer side truncated to whole pixels, the crop's corner rounded.
    width, height = image.size
    short, goal = min(width, height), rule.resize_to or size
    target = (int(goal * width / short), int(goal * height / short))
    left, top = round((target[0] - size) / 2), round((target[1] - size) / 2)
    # Up to this ratio of sides the whole picture is resized and then cut, as checkpoints' own transforms do: cutting
    # first gives other values where Pillow's passes clip (by 13 of 255 in noise).
    if max(target) <= WHOLE * goal:
        return image.resize(target, filter_).crop((left, top, left + size, top + size))
    # Only the part that survives the crop is computed: a 50:1 strip would otherwise grow to a huge one.
    scale_x, scale_y = width / target[0], height / target[1]
    box = (left * scale_x, top * scale_y, (left + size) * scale_x, (top + size) * scale_y)
    return image.resize((size, size), filter_, box=box)
