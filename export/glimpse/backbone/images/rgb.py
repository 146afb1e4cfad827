"""Any picture as 8-bit RGB over white, in bands of rows: beside the picture, memory holds its RGB and one band."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

# Modes of 16 bits and more, which Pillow's own conversion to 8 bits would clip.
DEEP = frozenset({"I;16", "I;16L", "I;16B", "I;16N", "I", "F"})
_BAND_PIXELS = 1 << 20
# Premultiplied modes convert to nothing but their plain twins.
_PLAIN = {"La": "LA", "RGBa": "RGBA"}

Values = npt.NDArray[np.floating | np.integer]


@dataclass(frozen=True, slots=True)
class DeepPixels:
    """What the numbers of a picture with more than 8 bits mean.

    Attributes:
        white: the value of white; pixels of 32 bits that are above it go as far as their type does.
        inverted: whether 0 is white.
        unsigned: whether 32 bits have no sign; Pillow takes them as if they had.
    """

    white: int = 65_535
    inverted: bool = False
    unsigned: bool = False


def flatten(image: Image.Image, deep: DeepPixels) -> Image.Image:
    """Returns a loaded picture of any mode as RGB, transparency over white."""
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
    """The value that becomes white: 1 or 255 for floats, and more where a pixel is above that."""
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
