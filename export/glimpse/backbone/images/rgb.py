"""Converts any picture to 8-bit RGB over white, in bands of rows.

Memory holds the picture, its RGB copy and one band.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

# Modes of 16 bits and more. Pillow's own conversion to 8 bits would clip them.
DEEP = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_BAND_PIXELS = 1 << 20
# Pillow converts premultiplied modes only to their plain form.
_PLAIN = {"La": "LA", "RGBa": "RGBA"}

Values = npt.NDArray[np.floating | np.integer]


@dataclass(frozen=True, slots=True)
class DeepPixels:
    """Describes the values of a picture with more than 8 bits per sample.

    Attributes:
        white: the value that is white; if a picture of 32 bits has larger values, the largest value of its type is
            white.
        inverted: whether 0 is white.
        unsigned: whether values of 32 bits are unsigned; Pillow reads them as signed.
    """

    white: int = 65_535
    inverted: bool = False
    unsigned: bool = False


def flatten(image: Image.Image, deep: DeepPixels) -> Image.Image:
    """Returns a loaded picture of any mode as RGB, with transparency over white."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    convert: Callable[[Image.Image], Image.Image] = _over_white
    if image.mode in DEEP:
        convert = partial(_eight_bits, deep=deep, scale=_scale(image, deep))
    if image.width * image.height <= _BAND_PIXELS:
        return convert(image)
    rgb = Image.new("RGB", image.size)
    for band, top in _bands(image):
        rgb.paste(convert(band), (0, top))
    return rgb


def _bands(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode in _PLAIN:
        image = image.convert(_PLAIN[image.mode])
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _scale(image: Image.Image, deep: DeepPixels) -> float:
    """Returns the value that becomes white. For floats it is 1 or 255, or more if a pixel is larger."""
    if image.mode not in ("I", "F"):
        return deep.white
    highest = max(float(_values(band, deep).max(initial=0)) for band, _ in _bands(image))
    if image.mode == "I":
        return deep.white if highest <= deep.white else float(_largest(deep))
    return 1 if highest <= 1 else 255 if highest <= 255 else max(highest, deep.white)


def _largest(deep: DeepPixels) -> int:
    return int(np.iinfo(np.uint32 if deep.unsigned else np.int32).max)


def _values(image: Image.Image, deep: DeepPixels) -> Values:
    values: Values = np.asarray(image)
    if image.mode == "F":
        return np.nan_to_num(values)
    return values.view(np.uint32) if image.mode == "I" and deep.unsigned else values


def _eight_bits(image: Image.Image, deep: DeepPixels, scale: float) -> Image.Image:
    values = _values(image, deep)
    eight = np.rint(np.clip(values, 0, scale) * (255 / scale)).astype(np.uint8)
    if deep.inverted:
        eight = 255 - eight
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        eight[values == transparent] = 255
    return Image.fromarray(eight).convert("RGB")
