"""Contents of inputs: decides whether a value is an image, a text, a vector or an error."""

import io
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from glimpse.client.requests._images import PillowImage, is_pillow_image, png_of_array, png_of_pillow
from glimpse.client.results._resources import Vector

T = TypeVar("T")
AnyImage = bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | NDArray[np.uint8] | PillowImage
"""An encoded image, an image file (read when it is sent), an open binary file, or a NumPy or Pillow image."""

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:image/)\S+", re.IGNORECASE)
_URL_AS_PATH = re.compile(r"(?:https?|ftp|s3|gs):/", re.IGNORECASE)  # Path turns two slashes into one.
_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "mpo", "webp", "gif", "tif", "tiff", "avif", "heic", "heif"),
        *("jp2", "j2k", "bmp", "ppm", "pgm", "pbm", "pnm", "ico", "svg"),
    )
)
_LONGEST_PATH = 4096  # Characters; no file system has longer paths.
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Text:
    """A text, even if it looks like a file or a URL.

    Attributes:
        text: The text.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Region:
    """A box of an upright image, which is 1 wide and 1 high.

    Attributes:
        x: The left edge.
        y: The upper edge.
        width: The width; x + width is at most 1.
        height: The height; y + height is at most 1.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Image:
    """An image, or a region of it.

    Attributes:
        content: Encoded bytes, a path (here a `str` is a path), an open binary file, a Pillow image, or a NumPy array
            of shape `(height, width, 3)`, RGB, dtype uint8.
        region: The part of the image that is used, as if it had been cropped to it; a Region, or its four numbers.
            None: all of it. An image that is given with several regions in one call is decoded once for them.
    """

    content: AnyImage | str
    region: Region | tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Views:
    """Several views of one thing, for example frames or angles, which get one answer.

    Attributes:
        contents: 2 to 32 images, texts or vectors. Each counts as an input of the call.
    """

    contents: "Sequence[AnyImage | str | Vector | Text | Image]"


Content = AnyImage | str | Vector | Text | Image | Views
"""An image, a text (a str that does not look like a file), a vector, or several views of one thing."""


def as_list(value: Any, *more: type) -> Iterable[Any]:
    """Returns a list of one for a single input or a value of the types `more`, and any other value unchanged."""
    if isinstance(value, list | tuple):
        return value
    kinds = (str, bytes, bytearray, memoryview, os.PathLike, io.IOBase, Vector, Text, Image, Views, *more)
    # A temporary file has a `read` method but no base class in common, and would be iterated line by line.
    single = isinstance(value, kinds) or is_pillow_image(value) or hasattr(value, "read")
    if isinstance(value, np.ndarray):
        single = value.ndim != 4  # (n, height, width, 3) is a list of images.
    return [value] if single else value


def text_of(content: Text | str) -> str:
    """Returns the text.

    Raises:
        TypeError: If a str is probably meant as an image.
    """
    if isinstance(content, Text):
        return content.text
    shown = repr(content if len(content) <= _SHOWN else f"{content[:_SHOWN]}…")
    name = content.strip()  # A line of a list of files ends with a newline.
    if _URL.fullmatch(name):
        raise TypeError(f"{shown} is a URL, which is never fetched; pass the file's bytes, a Path(...) or a Text(...)")
    if len(name) > _LONGEST_PATH or "\n" in name:
        return content
    if name.lower().endswith(_SUFFIXES):
        raise TypeError(
            f"{shown} is a str, which is a text, but it ends like the name of an image file; use Path(...) or Text(...)"
        )
    if os.path.isfile(content) or os.path.isfile(name):
        raise TypeError(f"{shown} is a str, which is a text, but it names a file; use Path(...) or Text(...)")
    return content


def path_of(content: Any) -> str:
    """Returns the path of an image file, or an empty string for other content.

    Raises:
        TypeError: If the path is a URL.
    """
    if isinstance(content, bytes | str | Text | Vector | Views):
        return ""
    inner = content.content if isinstance(content, Image) else content
    if not isinstance(inner, os.PathLike) and not (isinstance(inner, str) and isinstance(content, Image)):
        return ""
    path = os.fspath(inner)
    if _URL.fullmatch(path) or _URL_AS_PATH.match(path):
        raise TypeError(f"{path[:_SHOWN]!r} is a URL, which is never fetched; download it and pass its bytes or Path")
    return path


def image_bytes(content: Any, limit: int) -> bytes:
    """Returns the encoded bytes of an image; of a file, at most `limit` + 1 bytes.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If the content is not an image.
    """
    if isinstance(content, bytes):
        return content
    if path := path_of(content):
        with Path(path).open("rb") as file:
            return file.read(limit + 1)
    inner = content.content if isinstance(content, Image) else content
    if isinstance(inner, bytes | bytearray | memoryview):
        return bytes(inner)
    if isinstance(inner, np.ndarray):
        return png_of_array(inner)
    if is_pillow_image(inner):
        return png_of_pillow(inner)
    if isinstance(inner, io.BytesIO):
        return inner.getvalue()  # The position is often at the end, after writing.
    if callable(read := getattr(inner, "read", None)):
        content = read(limit + 1)
        if isinstance(content, bytes):
            return content
        raise TypeError("open an image file in binary mode: open(..., 'rb')")
    raise TypeError(
        "an input is bytes, a Path, a Pillow or NumPy image, an open file, a str (a text), Text(...), Image(...), "
        f"Vector(...) or Views(...), not {type(inner).__name__}"
    )
