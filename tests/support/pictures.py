"""Encoded images."""

import io
from typing import Any

from PIL import Image


def picture(
    colour: str | tuple[int, ...] = "red", size: tuple[int, int] = (20, 20), format: str = "PNG", **save: Any
) -> bytes:
    """Returns an encoded image of one colour."""
    return encoded(Image.new("RGB", size, colour), format, **save)


def encoded(image: Image.Image, format: str = "PNG", **save: Any) -> bytes:
    """Returns an encoded image."""
    file = io.BytesIO()
    image.save(file, format, **save)
    return file.getvalue()
