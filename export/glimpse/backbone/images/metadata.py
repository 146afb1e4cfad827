"""Removes what a picture says about itself before it is opened, so that a broken remark never hides the pixels.

Pillow parses text, profiles and EXIF while it opens a file, and refuses the file where it cannot. Only the orientation
matters here, so PNG and JPEG files are passed on without the rest.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PNG_SIGNATURE = 8
# The chunks that decide pixels. Without the animation's, Pillow shows the still picture of an APNG.
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
# Bytes of EXIF that are looked at.
_MAX_EXIF = 1 << 20
_SOI, _EOI, _SOS, _APP0, _APP1, _APP14, _APP15, _COM = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
# Markers without a length.
_BARE = {0x01, *range(0xD0, 0xD8)}
_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
# Ends the bits of a scan: any marker but a stuffed zero or a restart.
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stripped:
    """A file that keeps what decides its pixels, and its EXIF apart."""

    data: bytes
    exif: bytes = b""


def strip_metadata(data: bytes, file_format: str) -> Stripped:
    """Returns the file without metadata; other formats than PNG and JPEG as they are."""
    if file_format == "PNG":
        return _strip_png(data)
    return _strip_jpeg(data) if file_format == "JPEG" else Stripped(data)


def count_scans(data: bytes, most: int, start: int = 0, end: int | None = None) -> int:
    """Returns the number of scans of a JPEG, counted only to `most` + 1: a decoder walks all pixels for each."""
    end = len(data) if end is None else end
    # Quick and never too few: inside a scan these two bytes cannot stand beside each other.
    if (marks := data.count(b"\xff\xda", start, end)) <= most:
        return marks
    scans = 0
    for marker, _, _ in _segments(data, start, end):
        scans += marker == _SOS
        if scans > most:
            break
    return scans


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Returns a WebP's width and height, or None where its first chunk has none: then it is not opened either."""
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
            end = len(data)  # cut short, or critical and unknown: for Pillow to judge
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
    """Adds a piece; one that follows the last directly becomes part of it."""
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
        # JFIF and Adobe name the colour space of the pixels.
        if (not _APP0 <= marker <= _APP15 and marker != _COM) or marker in (_APP0, _APP14):
            _keep(kept, start, end)
    _keep(kept, place, len(data))
    return Stripped(_join(data, kept), exif)


def _segments(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """The segments up to the first end of image: marker, start and end; a scan ends with its bits."""
    end = len(data) if end is None else end
    place = start + 2  # behind SOI
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
    """The pieces of `data`, which follow one another; the same object where nothing is left out."""
    if pieces == [(0, len(data))]:
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in pieces)
