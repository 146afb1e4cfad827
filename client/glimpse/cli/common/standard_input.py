"""Reads standard input as inputs: one picture, JSON lines, or one text per line."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from glimpse.cli.common.errors import CliError
from glimpse.inputs import Columns, Entry, InputsError, Unreadable, legible, open_table, read_lines
from glimpse.inputs.fields import MAX_BYTES

# The first bytes of every picture format that servers decode. No text starts like this.
_PICTURE = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|\0.{3}ftyp|\0\0\0\x0cjP  |\xff\x4f\xff\x51"
    rb"|II[*+]\0|MM\0[*+]|BM.{10}\0\0|P[1-6f]\s+(?:#[^\n]*\s+)*\d+\s+\d+\s",
    re.DOTALL,
)


def read_standard_input(stream: BinaryIO, columns: Columns, allow_outside: bool) -> Sequence[Entry | Unreadable]:
    """Reads all of standard input, because it cannot be read twice.

    Paths in its rows are relative to the working directory, and must lie below it unless `allow_outside` is set.

    Raises:
        CliError: The input is too large, or text in an encoding other than UTF-8.
    """
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise CliError(f"standard input has more than {MAX_BYTES:,} bytes", "save it to a file, and name the file")
    if _PICTURE.match(data):
        return [Entry("", "-", "image", None, None, data)]
    with tempfile.TemporaryDirectory(prefix="glimpse-") as folder:
        file = Path(folder, "stdin.jsonl" if _is_json_lines(data) else "stdin.txt")
        file.write_bytes(data)
        try:
            if file.suffix == ".txt":
                return [_renamed(entry, str(file)) for entry in read_lines(file)]
            table = open_table(file, columns, allow_outside=allow_outside, needs_ids=False)
            return [_renamed(entry, str(file)) for entry in replace(table, folder=Path()).read()]
        except InputsError as error:
            raise CliError(error.message.replace(legible(str(file)), "standard input"), error.next_step) from error


def _is_json_lines(data: bytes) -> bool:
    first = data.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
    try:
        return isinstance(json.loads(first), dict | str)
    except (ValueError, RecursionError):
        return False


def _renamed(entry: Entry | Unreadable, file: str) -> Entry | Unreadable:
    """Returns the entry with `-` in place of the temporary file's name."""
    source = entry.source.replace(file, "-")
    if isinstance(entry, Unreadable):
        return Unreadable(source, None, entry.reason, entry.message.replace(file, "-"))
    id_ = "" if entry.id.startswith("stdin.") else entry.id
    return Entry(id_, source, entry.kind, entry.label, entry.domain, entry.content, entry.group)
