"""Resizes and crops a picture to the image graph's input, or makes a thumbnail of it."""

import io

from PIL import Image, ImageFile

from glimpse.backbone.images.decode_cost import WHOLE
from glimpse.backbone.manifest import ImageRule

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# A scaled JPEG keeps at least this many times the pixels per side that the resize makes. docs/bundle.md has the effect
# on vectors.
_SPARE = 2
# The quality of a thumbnail's JPEG.
_QUALITY = 85


class Thumbnail(ImageRule):
    """The rule of a thumbnail: the whole picture within `size` x `size` pixels, its sides in proportion."""

    scaled_decode: bool = True


class Crop(ImageRule):
    """The rule of a region that keeps its own pixels."""

    size: int = 1


def scale_down(image: ImageFile.ImageFile, rule: ImageRule) -> None:
    """Sets the scale of a JPEG: the smallest of 1, 1/2, 1/4 and 1/8 that keeps `_SPARE` times the resized side."""
    least = _SPARE * (rule.resize_to or rule.size)
    image.draft(None, (least, least))


def fit(image: Image.Image, rule: ImageRule) -> Image.Image:
    """Returns the picture resized and cropped to `rule.size` x `rule.size` pixels."""
    size, filter_ = rule.size, _FILTERS[rule.interpolation]
    if rule.resize == "squash":
        return image if image.size == (size, size) else image.resize((size, size), filter_)
    # As torchvision's Resize and CenterCrop: the longer side is truncated to whole pixels, the crop's corner rounded.
    width, height = image.size
    short, goal = min(width, height), rule.resize_to or size
    target = (int(goal * width / short), int(goal * height / short))
    left, top = round((target[0] - size) / 2), round((target[1] - size) / 2)
    # Up to this ratio of sides the whole picture is resized and then cropped, as the checkpoints' own transforms do.
    # Cropping first gives other values where Pillow's passes clip (up to 13 of 255 in noise).
    if max(target) <= WHOLE * goal:
        return image.resize(target, filter_).crop((left, top, left + size, top + size))
    # Resize only the part that survives the crop: a strip of 50:1 would otherwise become huge.
    scale_x, scale_y = width / target[0], height / target[1]
    box = (left * scale_x, top * scale_y, (left + size) * scale_x, (top + size) * scale_y)
    return image.resize((size, size), filter_, box=box)


def encode_thumbnail(image: Image.Image, rule: Thumbnail) -> bytes:
    """Makes an upright RGB picture at most `rule.size` pixels a side, in place, and returns it as a JPEG.

    The pixels are encoded again, so that nothing else of the original file is passed on.
    """
    image.thumbnail((rule.size, rule.size))
    image.info = {}  # Pillow writes a comment that it finds there
    target = io.BytesIO()
    image.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()
