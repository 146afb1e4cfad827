"""Images written byte by byte, so that a reader is compared with the format, not with another reader."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


def chunk(name: bytes, data: bytes, crc: int | None = None) -> bytes:
    """Returns a PNG chunk; `crc` replaces the right checksum."""
    return (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) if crc is None else crc)
    )


def png(
    values: Array,
    colour: int,
    bits: int = 8,
    *,
    palette: bytes = b"",
    transparent: bytes = b"",
    more: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """Returns a PNG of samples (h, w) or (h, w, channels); `more` adds chunks behind the header."""
    height, width = values.shape[:2]
    deep = values.astype(">u2") if bits == 16 else values.astype(np.uint8)
    passes = [deep[top::down, left::across] for top, left, down, across in ADAM7] if interlaced else [deep]
    lines = [b"\0" + _packed(row, bits) for one in passes if one.size for row in one]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more,
            chunk(b"PLTE", palette) if palette else b"",
            chunk(b"tRNS", transparent) if transparent else b"",
            chunk(b"IDAT", zlib.compress(b"".join(lines))) + chunk(b"IEND", b""),
        )
    )


def _packed(row: Array, bits: int) -> bytes:
    if bits >= 8:
        return row.tobytes()
    return np.packbits(np.unpackbits(row[..., None], axis=-1)[..., 8 - bits :].ravel()).tobytes()


def bmp(
    pixels: bytes,
    size: tuple[int, int],
    bits: int,
    compression: int = 0,
    *,
    palette: Array | None = None,
    masks: Sequence[int] = (),
    header: int = 40,
) -> bytes:
    """Returns a BMP of stored rows, from the bottom; with a negative height, from the top."""
    colours = b"" if palette is None else np.insert(palette[:, ::-1], 3, 0, axis=1).astype(np.uint8).tobytes()
    headers = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, compression, len(pixels), 0, 0, 0, 0)
    headers += struct.pack(f"<{len(masks)}I", *masks)
    headers = headers.ljust(header, b"\0") if header > 40 else headers
    start = 14 + len(headers) + len(colours)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + headers + colours + pixels


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Returns a RIFF file of WebP chunks."""
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body
