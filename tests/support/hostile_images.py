"""Images that are far more expensive to decode than their size suggests."""

import io
import struct
import zlib

from PIL import Image

from support.pictures import encoded


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """Returns a grey progressive JPEG that repeats its last scan: a decoder visits all pixels each time."""
    data = encoded(Image.new("L", (width, height), 100), "JPEG", progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:last] + data[last:end] * (scans - data.count(b"\xff\xda") + 1) + data[end:]


def tiff(width: int, height: int, *more: tuple[int, int], bits: int = 8, body: bytes = b"") -> bytes:
    """Returns a grey TIFF with one Deflate-compressed strip or tile of `body`; `more` adds tags with their values."""
    tags = {256: width, 257: height, 258: bits, 259: 8, 262: 1, 277: 1, 339: 1} | dict(more)
    place, size = (324, 325) if 322 in tags else (273, 279)
    tags |= {place: 8 + 2 + 12 * (len(tags) + 2) + 4, size: len(body)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in sorted(tags.items()))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + body


def tiff_of_one_tile(side: int) -> bytes:
    """Returns a TIFF of 64 x 64 pixels in one tile of `side` x `side`."""
    return tiff(64, 64, (322, side), (323, side), body=zlib.compress(bytes(1 << 20)))


def tiff_of_one_strip(rows: int) -> bytes:
    """Returns a TIFF of 64 x 64 pixels that declares `rows` rows in its strip."""
    return tiff(64, 64, (278, rows), body=zlib.compress(bytes(64 * 64)))


def webp(width: int, height: int) -> bytes:
    """Returns a WebP of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "WEBP", quality=0, method=0)
    return file.getvalue()
