"""Contents of inputs: what counts as a picture, as a text, or as neither."""

import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from glimpse.client.requests._pictures import PillowPicture, is_pillow_picture, png_of_array, png_of_pillow
from glimpse.client.results._resources import Vector

T = TypeVar("T")
AnyPicture = bytes | bytearray | memoryview | os.PathLike[str] | IO[bytes] | NDArray[np.uint8] | PillowPicture
"""An encoded image, an image file (read when it is sent), an open binary file, or a picture of NumPy or Pillow."""

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:image/)\S+", re.IGNORECASE)
_URL_AS_PATH = re.compile(r"(?:https?|ftp|s3|gs):/", re.IGNORECASE)  # Path makes one slash of two
_SUFFIXES = tuple(
    f".{suffix}"
    for suffix in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "mpo", "webp", "gif", "tif", "tiff", "avif", "heic", "heif"),
        *("jp2", "j2k", "bmp", "ppm", "pgm", "pbm", "pnm", "ico", "svg"),
    )
)
_LONGEST_PATH = 4096  # characters; no file system has longer ones
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Text:
    """A text, whatever it looks like."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: its encoded bytes, its file (here a str is a path), an open file, or a picture of NumPy or Pillow."""

    content: AnyPicture | str


Content = AnyPicture | str | Vector | Text | Image
"""A picture, a text (a str that neither names a file nor looks like one), or a vector."""


def as_list(given: Any, *more: type) -> Iterable[Any]:
    """A single input, or one of the types `more`, as a list of one; anything else as it is."""
    if isinstance(given, list | tuple):
        return given
    kinds = (str, bytes, bytearray, memoryview, os.PathLike, io.IOBase, Vector, Text, Image, *more)
    # A temporary file is an open file too, and would be read line by line.
    single = isinstance(given, kinds) or is_pillow_picture(given) or hasattr(given, "read")
    if isinstance(given, np.ndarray):
        single = given.ndim != 4  # four axes are a list of pictures
    return [given] if single else given


def text_of(content: Text | str) -> str:
    """The text. Raises TypeError for a str that is more likely meant as a picture."""
    if isinstance(content, Text):
        return content.text
    shown = repr(content if len(content) <= _SHOWN else f"{content[:_SHOWN]}…")
    name = content.strip()  # a line of a list of files ends with a newline
    if _URL.fullmatch(name):
        raise TypeError(f"{shown} is a URL, which is never fetched: give the file's bytes or Path(...), or Text(...)")
    if len(name) > _LONGEST_PATH or "\n" in name:
        return content
    if name.lower().endswith(_SUFFIXES):
        raise TypeError(f"{shown} is a str, so a text, and ends like a picture's name: use Path(...) or Text(...)")
    if os.path.isfile(content) or os.path.isfile(name):
        raise TypeError(f"{shown} is a str, so a text, and names a file: use Path(...) or Text(...)")
    return content


def path_of(content: Any) -> str:
    """The path of a picture's file; empty for other contents. Raises TypeError for a URL."""
    if isinstance(content, bytes | str | Text | Vector):
        return ""
    inner = content.content if isinstance(content, Image) else content
    if not isinstance(inner, os.PathLike) and not (isinstance(inner, str) and isinstance(content, Image)):
        return ""
    path = os.fspath(inner)
    if _URL.fullmatch(path) or _URL_AS_PATH.match(path):
        raise TypeError(f"{path[:_SHOWN]!r} is a URL, which is never fetched: download it, and give its bytes or Path")
    return path


def picture_of(content: Any, limit: int) -> bytes:
    """The encoded bytes of a picture; of a file at most `limit` + 1.

    Raises OSError where the file cannot be read, and TypeError where the content is no picture.
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
    if is_pillow_picture(inner):
        return png_of_pillow(inner)
    if isinstance(inner, io.BytesIO):
        return inner.getvalue()  # wherever its position is: often at the end, after writing
    if callable(read := getattr(inner, "read", None)):
        content = read(limit + 1)
        if isinstance(content, bytes):
            return content
        raise TypeError("a file of a picture is opened for bytes: open(..., 'rb')")
    raise TypeError(
        "an input is bytes, a Path, a picture of Pillow or NumPy, an open file, a str (a text), Text(...), Image(...) "
        f"or Vector(...), not {type(inner).__name__}"
    )
