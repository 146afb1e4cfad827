"""Removes metadata from a picture before it is opened, so that broken metadata does not prevent decoding.

Pillow parses text, colour profiles and EXIF while it opens a file, and fails if they are broken. Only the orientation
matters here, so PNG and JPEG files are passed on without the rest.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PNG_SIGNATURE = 8
# The chunks that decide pixels. Without the animation chunks, Pillow shows the still picture of an APNG.
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
# Most bytes of EXIF that are read.
_MAX_EXIF = 1 << 20
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
# Markers without a length field.
_BARE = {0x01, *range(0xD0, 0xD8)}
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
# Ends the data of a scan: any marker but a stuffed zero or a restart.
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stripped:
    """A picture file without metadata.

    Attributes:
        data: the file, with only what decides its pixels.
        exif: the content of the file's EXIF block.
    """

    data: bytes
    exif: bytes = b""


def strip_metadata(data: bytes, file_format: str) -> Stripped:
    """Returns a PNG or JPEG file without metadata, and files of other formats unchanged."""
    if file_format == "PNG":
        return _strip_png(data)
    return _strip_jpeg(data) if file_format == "JPEG" else Stripped(data)


def count_scans(data: bytes, most: int, start: int = 0, end: int | None = None) -> int:
    """Counts the scans of a JPEG; a decoder passes over all pixels once for each scan.

    Args:
        data: the file.
        most: counting stops at `most` + 1.
        start: where the JPEG begins within `data`.
        end: where it ends; None for the end of `data`.
    """
    end = len(data) if end is None else end
    # A fast upper bound: the bytes of this marker cannot occur within the data of a scan.
    if (marks := data.count(b"\xff\xda", start, end)) <= most:
        return marks
    scans = 0
    for marker, _, _ in _segments(data, start, end):
        scans += marker == _SOS
        if scans > most:
            break
    return scans


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Returns a WebP's width and height in pixels; None if its first chunk has none, and then Pillow cannot open it
    either.
    """
    chunk = data[12:16]
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a" and len(data) >= 30:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def _strip_png(data: bytes) -> Stripped:
    kept, exif, place = [(0, _PNG_SIGNATURE)], b"", _PNG_SIGNATURE
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data) or (name not in _PNG_PIXELS | {b"eXIf"} and not _is_ancillary(name)):
            end = len(data)  # cut short, or an unknown critical chunk: Pillow reports it
            _keep(kept, place, end)
            break
        if name == b"eXIf" and length <= _MAX_EXIF:
            exif = exif or data[place + 8 : end - 4]
        if name in _PNG_CRITICAL or (name in _PNG_PIXELS and _crc_holds(data, place, end)):
            _keep(kept, place, end)
        place = end
        if name == b"IEND":
            break
    return Stripped(_join(data, kept), exif)


def _keep(pieces: list[tuple[int, int]], start: int, end: int) -> None:
    """Adds a piece, joined to the last one if it follows directly."""
    if pieces[-1][1] == start:
        pieces[-1] = (pieces[-1][0], end)
    else:
        pieces.append((start, end))


def _is_ancillary(name: bytes) -> bool:
    return bool(name[0] & 0x20)


def _crc_holds(data: bytes, start: int, end: int) -> bool:
    view = memoryview(data)
    return zlib.crc32(view[start + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])


def _strip_jpeg(data: bytes) -> Stripped:
    kept, exif, place = [(0, 2)], b"", 2
    for marker, start, end in _segments(data):
        if marker == _SOS:
            break
        place = end
        if marker == _APP1 and data.startswith(b"Exif\0\0", start + 4):
            exif = exif or data[start + 10 : end]
        # Keep JFIF and Adobe segments: they name the colour space of the pixels.
        if (not _APP0 <= marker <= _APP15 and marker != _COM) or marker in (_APP0, _APP14):
            _keep(kept, start, end)
    _keep(kept, place, len(data))
    return Stripped(_join(data, kept), exif)


def _segments(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yields marker, start and end of each segment up to the first end of image; a scan ends where its data does."""
    end = len(data) if end is None else end
    place = start + 2  # after SOI
    while marker := _MARKER.search(data, place, end):
        code, first = marker[1][0], marker.end() - 2
        if code == _EOI:
            return
        if code in _BARE or code == _SOI:
            place = marker.end()
            continue
        if marker.end() + 2 > end:
            return
        place = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        if code == _SOS:
            bits = _SCAN_END.search(data, place, end)
            place = bits.start() if bits else end
        if place > end:
            return
        yield code, first, place


def _join(data: bytes, pieces: list[tuple[int, int]]) -> bytes:
    """Joins consecutive pieces of `data`; returns `data` itself if nothing is left out."""
    if pieces == [(0, len(data))]:
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in pieces)
