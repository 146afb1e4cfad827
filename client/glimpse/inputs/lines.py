"""Text files line by line. A line ends at LF, CR LF or CR; U+2028, U+0085 and form feeds are text like any other."""

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
_HEAD = 1 << 18  # bytes that are looked at for their encoding
_BOMS = (  # UTF-32's little-endian mark begins with UTF-16's
    *((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32")),
    *((codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16")),
)
_BEYOND_ASCII = re.compile("[^\x00-\x7f\udc80-\udcff]")
# A letter of Latin-1 or Windows-1252 beside one of ASCII: `caf\xe9`. Other bytes are more likely damage.
_LATIN = re.compile("[A-Za-z][\udc8a\udc8c\udc8e\udc9a\udc9c\udc9e\udc9f\udcc0-\udcff]|[\udcc0-\udcff][A-Za-z]")


def open_text(path: Path) -> TextIO:
    """A text file, with its line ends as they are; bytes that are not UTF-8 become lone surrogates.

    Raises:
        InputsError: It is in another encoding.
        OSError: It cannot be opened.
    """
    file = cast(BufferedReader, path.open("rb", buffering=_HEAD))
    try:
        check_encoding(path, file.peek(_HEAD))
    except BaseException:
        file.close()
        raise
    return TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def check_encoding(path: Path, head: bytes) -> None:
    """Refuses a file whose first bytes are in another encoding than UTF-8. Raises InputsError."""
    if name := _encoding(head):
        codec = {"Latin-1 or Windows-1252": "WINDOWS-1252"}.get(name, name.upper())
        raise InputsError(
            f"{legible(str(path))} is {name} text, not UTF-8", f"convert it: iconv -f {codec} -t UTF-8 FILE > NEW"
        )


def _encoding(head: bytes) -> str | None:
    """The name of an encoding that is not UTF-8; None where the bytes are UTF-8 or nothing that is known."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    zeros = [head[start:4096:2].count(0) for start in (0, 1)]
    if max(zeros) > len(head[:4096]) / 4 > 1:  # of ASCII text, every other byte
        return "UTF-16"
    text = head.decode("utf-8", "surrogateescape")
    if len(head) == _HEAD:
        text = text[:-3]  # its end may cut a character
    return "Latin-1 or Windows-1252" if _LATIN.search(text) and not _BEYOND_ASCII.search(text) else None


def lines(file: TextIO) -> Iterator[tuple[int, str | Rejected]]:
    """The lines by number, from 1, with their ends. One that is too long is never in memory as a whole."""
    for number in count(1):
        line = piece = file.readline(MAX_LINE)
        if not line:
            return
        while len(piece) == MAX_LINE and not piece.endswith(_ENDS):
            piece = file.readline(MAX_LINE)
            if piece:
                line = ""
        yield number, line or Rejected(ROW_MALFORMED, f"a line of more than {MAX_LINE:,} characters")


def read_lines(path: Path) -> Iterator[Entry | Unreadable]:
    """A text file's lines in order, each a text; blank ones are left out.

    Raises:
        InputsError: Before the first line, where the file is in another encoding.
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
    """A file that is one text, without the end of its last line.

    Raises:
        Rejected: It is empty, too long, or not UTF-8.
        OSError: It cannot be read.
    """
    try:
        with open_text(path) as file:
            text = file.read(MAX_LINE + 1)
    except InputsError as error:
        raise Rejected(ROW_MALFORMED, error.message) from error
    if len(text) > MAX_LINE:
        raise Rejected(ROW_MALFORMED, f"a text of more than {MAX_LINE:,} characters")
    return text_of(text.rstrip("\r\n"), "the text")
