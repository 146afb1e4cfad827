"""Previews of inputs, small enough for the page."""

import base64
import io
from pathlib import Path

from PIL import Image

from glimpse.backbone import ImageRule, InputError, decode_image

_SIDE = 96  # pixels
_TEXT = 240  # characters


def thumbnail(file: str, rule: ImageRule) -> str | None:
    """Returns an image as the backbone sees it, as a JPEG data URI of at most 96 pixels a side; None if it cannot be
    read.
    """
    try:
        pixels = decode_image(Path(file).read_bytes(), rule)
    except (OSError, InputError):
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def snippet(text: str) -> str:
    """Returns the beginning of a text."""
    short = " ".join(text.split())
    return short if len(short) <= _TEXT else short[: _TEXT - 1] + "…"
