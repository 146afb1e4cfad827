"""Reads text files line by line. A line ends at LF, CR LF or CR; other separators, such as U+2028, are text."""

import codecs
import re
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from itertools import count
from pathlib import Path
from typing import TextIO, cast

from glimpse.inputs.entries import Entry, Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE, ROW_MALFORMED, InputsError, Rejected
from glimpse.inputs.fields import MAX_TEXT, legible, text_of

MAX_LINE = MAX_TEXT
_ENDS = ("\n", "\r")
_HEAD = 1 << 18  # bytes at the start of a file that decide its encoding
_BOMS = (  # UTF-32 comes first, because its little-endian mark starts with that of UTF-16
    *((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32")),
    *((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")),
)
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
# A letter of Latin-1 or Windows-1252 next to an ASCII letter: `caf\xe9`. Other invalid bytes are probably damage.
_LATIN = re.compile("[A-Za-z][\udc8a\udc8c\udc8e\udc9a\udc9c\udc9e\udc9f\udcc0-\udcff]|[\udcc0-\udcff][A-Za-z]")


def open_text(path: Path) -> TextIO:
    """Opens a text file and keeps its line ends. Bytes that are not UTF-8 become lone surrogates.

    Raises:
        InputsError: The file is in another encoding.
        OSError: The file cannot be opened.
    """
    file = cast(BufferedReader, path.open("rb", buffering=_HEAD))
    try:
        check_encoding(path, file.peek(_HEAD))
    except BaseException:
        file.close()
        raise
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def check_encoding(path: Path, head: bytes) -> None:
    """Checks that the first bytes of a file are UTF-8. Raises InputsError for another encoding."""
    if name := _encoding(head):
        codec = {"Latin-1 or Windows-1252": "WINDOWS-1252"}.get(name, name.upper())
        raise InputsError(
            f"{legible(str(path))} is {name} text, not UTF-8", f"convert it: iconv -f {codec} -t UTF-8 FILE > NEW"
        )


def _encoding(head: bytes) -> str | None:
    """Returns the name of an encoding other than UTF-8; None for UTF-8 and for unknown encodings."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = [head[start:4096:2].count(0) for start in (0, 1)]
    if max(zeros) > len(head[:4096]) / 4 > 1:  # in UTF-16, every other byte of ASCII text is zero
        return "UTF-16"
    text = head.decode("utf-8", "surrogateescape")
    if len(head) == _HEAD:
        text = text[:-3]  # the last character may be incomplete
    return "Latin-1 or Windows-1252" if _LATIN.search(text) and not _BEYOND_ASCII.search(text) else None


def lines(file: TextIO) -> Iterator[tuple[int, str | Rejected]]:
    """Yields line numbers from 1 and lines with their ends. A line over the limit is never held in memory."""
    for number in count(1):
        line = piece = file.readline(MAX_LINE)
        if not line:
            return
        while len(piece) == MAX_LINE and not piece.endswith(_ENDS):
            piece = file.readline(MAX_LINE)
            if piece:
                line = ""
        yield number, line or Rejected(ROW_MALFORMED, f"a line has more than {MAX_LINE:,} characters")


def read_lines(path: Path) -> Iterator[Entry | Unreadable]:
    """Yields the lines of a text file as texts, without blank lines.

    Raises:
        InputsError: The file is in another encoding. Raised before the first line.
    """
    source, name = legible(str(path)), legible(path.name)
    try:
        with open_text(path) as file:
            for number, line in lines(file):
                if isinstance(line, str) and not line.strip():
                    continue
                try:
                    if isinstance(line, Rejected):
                        raise line
                    text = text_of(line.rstrip("\r\n"), "the line")
                except Rejected as error:
                    yield Unreadable(f"{source}:{number}", f"{name}:{number}", error.reason, str(error))
                else:
                    yield Entry(f"{name}:{number}", f"{source}:{number}", "text", None, None, text)
    except OSError as error:
        yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")


def read_text(path: Path) -> str:
    """Returns the content of a file as one text, without the last line end.

    Raises:
        Rejected: The file is empty, too long, or not UTF-8.
        OSError: The file cannot be read.
    """
    try:
        with open_text(path) as file:
            text = file.read(MAX_LINE + 1)
    except InputsError as error:
        raise Rejected(ROW_MALFORMED, error.message) from error
    if len(text) > MAX_LINE:
        raise Rejected(ROW_MALFORMED, f"a text has more than {MAX_LINE:,} characters")
    return text_of(text.rstrip("\r\n"), "the text")
