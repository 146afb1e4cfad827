"""From an encoded picture to the graph's input, with the limits before the pixels.

Order: header and limits, first frame, EXIF orientation, 8-bit RGB over white, resize, crop. Pillow throughout, because
checkpoints were trained with it.
"""

import io
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from glimpse.backbone.errors import InputError
from glimpse.backbone.manifest import ImageRule

Pixels = npt.NDArray[np.uint8]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# What these modes hold are numbers of 16 bits and more, which Pillow's own conversion to 8 bits would clip.
_DEEP = {"I;16", "I;16L", "I;16B", "I;16N", "I", "F"}
_SIXTEEN_TO_EIGHT = np.round(np.arange(65_536) / 257).astype(np.uint8)
# Formats whose header alone says how large the picture is. Not among them: icons, which hold other pictures and decode
# them on opening, and those that call other programs.
Image.init()
_FORMATS = tuple({"PNG", "JPEG", "MPO", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF"} & Image.OPEN.keys())
# Up to this ratio of sides the whole picture is resized and then cut, as checkpoints' own transforms do: cutting first
# gives other values where Pillow's passes clip (by 13 of 255 in noise).
_WHOLE = 4
# Of the pixels a side that the resize makes, how many a scaled JPEG keeps: see docs/bundle.md for what that costs.
_SPARE = 2
# The limits below are ours; what Pillow warns of while it reads would only repeat the outcome.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """The largest picture that is decoded: pixels a side, and in all."""

    side: int = 8_192
    pixels: int = 40_000_000


def decode_image(data: bytes, rule: ImageRule, limits: ImageLimits | None = None) -> Pixels:
    """An encoded picture as the image graph takes it: uint8 (size, size, 3).

    Raises:
        InputError: IMAGE_EMPTY, IMAGE_UNREADABLE, IMAGE_TRUNCATED or IMAGE_TOO_LARGE.
    """
    if not data:
        raise InputError("IMAGE_EMPTY", "the image has 0 bytes")
    limits = limits or ImageLimits()
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check_size(image, limits)
            if rule.scaled_decode:
                _scale_down(image, rule)
            return np.asarray(_fit(to_rgb(image), rule))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("IMAGE_UNREADABLE", "not a picture in a format that is read here") from error
    except Image.DecompressionBombError as error:
        raise InputError("IMAGE_TOO_LARGE", f"far too many pixels; at most {limits.pixels:,} in all") from error
    except MemoryError as error:
        raise InputError("IMAGE_TOO_LARGE", "decoding it takes more memory than there is") from error
    except Exception as error:  # a hostile file can raise almost anything out of a decoder
        if "truncated" in str(error).lower() or isinstance(error, EOFError):
            raise InputError("IMAGE_TRUNCATED", f"the picture ends too early: {error}") from error
        raise InputError("IMAGE_UNREADABLE", f"the picture is damaged: {error}") from error


def _check_size(image: ImageFile.ImageFile, limits: ImageLimits) -> None:
    width, height = image.size
    if max(width, height) > limits.side or width * height > limits.pixels:
        raise InputError(
            "IMAGE_TOO_LARGE",
            f"{width} x {height} pixels; at most {limits.side} a side and {limits.pixels:,} in all",
        )


def _scale_down(image: ImageFile.ImageFile, rule: ImageRule) -> None:
    """Has a JPEG decoded at the least of 1, 1/2, 1/4 and 1/8 that leaves `_SPARE` times what the resize makes of it."""
    least = _SPARE * (rule.resize_to or rule.size)
    image.draft(None, (least, least))


def to_rgb(image: Image.Image) -> Image.Image:
    """The first frame, upright, 8-bit RGB, transparency laid over white."""
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        image = _to_eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """16-bit pictures, often read as 32-bit integers, by a table; floats as 0 to 1, or as far as they go beyond."""
    values = np.asarray(image)
    if image.mode == "F":
        values = np.nan_to_num(values)  # a copy
        top = values.max(initial=0)
        np.clip(values, 0, top, out=values)
        values *= 255 / (1 if top <= 1 else 255 if top <= 255 else max(top, 65_535))
        return Image.fromarray(values.round(out=values).astype(np.uint8))
    if image.mode == "I":
        values = np.clip(values, 0, 65_535)
    return Image.fromarray(_SIXTEEN_TO_EIGHT[values])


def _fit(image: Image.Image, rule: ImageRule) -> Image.Image:
    size, filter_ = rule.size, _FILTERS[rule.interpolation]
    if rule.resize == "squash":
        return image if image.size == (size, size) else image.resize((size, size), filter_)
    # torchvision's Resize and CenterCrop: the longer side truncated to whole pixels, the crop's corner rounded.
    width, height = image.size
    short, goal = min(width, height), rule.resize_to or size
    target = (int(goal * width / short), int(goal * height / short))
    left, top = round((target[0] - size) / 2), round((target[1] - size) / 2)
    if max(target) <= _WHOLE * goal:
        return image.resize(target, filter_).crop((left, top, left + size, top + size))
    # Only the part that survives the crop is computed: a 50:1 strip would otherwise grow to a huge one.
    scale_x, scale_y = width / target[0], height / target[1]
    box = (left * scale_x, top * scale_y, (left + size) * scale_x, (top + size) * scale_y)
    return image.resize((size, size), filter_, box=box)
